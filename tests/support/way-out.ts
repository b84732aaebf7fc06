/** Core's proxy with a real audit log, on a socket of this machine, and servers that it may or may not reach. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { AuditLog, Checkpoints, Redactor, type Act } from "../../packages/core/src/audit-log/audit-log.ts";
import { Egress, EGRESS_LIMITS, type EgressLimits, type EgressRun } from "../../packages/core/src/egress/egress.ts";
import { JournalFile } from "../../packages/core/src/host/journal-file.ts";
import { Storage } from "../../packages/core/src/storage/storage.ts";

export const RUN_ID = "run_1";

export type WayOut = {
  egress: Egress;
  port: number;
  /** Sends bytes, then waits for the connection's end; what came back, as latin1. */
  talk: (sent: string | Buffer, options?: { end?: boolean }) => Promise<string>;
  /** The metadata of each recorded refusal. */
  refusals: () => Record<string, unknown>[];
  /** The same rows, whole. */
  rows: () => Record<string, unknown>[];
  faults: unknown[];
  /** What whoever opened it was told: the code and the host. */
  told: string[];
};

export type WayOutOptions = {
  patterns: string[];
  resolve?: (name: string) => Promise<string[]>;
  limits?: Partial<EgressLimits>;
  corePorts?: number[];
  /** Of what is no run. */
  act?: Act;
};

export async function makeEgress(
  options: Omit<WayOutOptions, "patterns">,
): Promise<Pick<WayOut, "egress" | "refusals" | "rows" | "faults">> {
  const folder = mkdtempSync(join(tmpdir(), "os-egress-"));
  const storage = Storage.open(join(folder, "db"));
  const audit = new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints")),
    journal: new JournalFile(join(folder, "journal")),
    observer: "core_test",
    checkpointEvents: 1_000_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: () => {},
  });
  onTestFinished(() => {
    storage.close();
    // A checkpoint may still be on its way to its file.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const faults: unknown[] = [];
  const egress = new Egress({
    audit,
    corePorts: options.corePorts ?? [],
    onFault: (...fault) => faults.push(fault),
    ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
    limits: { ...EGRESS_LIMITS, ...options.limits },
  });
  const rows = (): Record<string, unknown>[] =>
    storage.all("SELECT * FROM audit_events WHERE event_type = 'security.egress_refused' ORDER BY seq");
  const refusals: WayOut["refusals"] = () =>
    rows().map((row) => JSON.parse(String(row["metadata_json"])) as Record<string, unknown>);
  return { egress, refusals, rows, faults };
}

export async function openWayOut({ patterns, act, ...options }: WayOutOptions): Promise<WayOut> {
  const made = await makeEgress(options);
  const listener = await listening(createServer());
  const port = portOf(listener);
  const told: string[] = [];
  const onRefused: EgressRun["onRefused"] = ({ code, target }) => void told.push(`${code} ${target?.host}`);
  await made.egress.open(
    { runId: RUN_ID, agentId: "com.example.reacher", patterns, onRefused, ...(act === undefined ? {} : { act }) },
    listener,
  );
  onTestFinished(() => void made.egress.close(RUN_ID));
  const talk: WayOut["talk"] = async (sent, { end = false } = {}) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const read = textOf(socket);
    socket.write(sent);
    if (end) socket.end();
    return read;
  };
  return { ...made, port, talk, told };
}

/** Everything until the other side ends, or resets. */
export async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.on("error", () => {});
  socket.once("end", () => socket.end());
  await once(socket, "close");
  return text;
}

/** A server of this machine that answers every request with what it read of it, and counts connections. */
export async function echoServer(): Promise<{ port: number; requests: string[]; connections: () => number }> {
  const requests: string[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (data) => {
      text += data.toString("latin1");
      if (!isWhole(text)) return;
      requests.push(text);
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`);
    });
  });
  await listening(server);
  return { port: portOf(server), requests, connections: () => connections };
}

function isWhole(text: string): boolean {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (/transfer-encoding/i.test(head)) return text.endsWith("0\r\n\r\n");
  return text.includes("\r\n\r\n") && (length === undefined || body.length >= Number(length));
}

/** Closed, with its connections, when the test is over. */
export async function listening(server: Server, host = "127.0.0.1"): Promise<Server> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await once(server.listen(0, host), "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
