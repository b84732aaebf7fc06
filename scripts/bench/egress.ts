/** Core's egress proxy, as a rate: bytes from a server to a client through it, over the same two programs without it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { AuditLog, Checkpoints, Redactor } from "../../packages/core/src/audit-log/audit-log.ts";
import { Egress } from "../../packages/core/src/egress/egress.ts";
import { JournalFile } from "../../packages/core/src/host/journal-file.ts";
import { Storage } from "../../packages/core/src/storage/storage.ts";
import { type Figure, median, type Measured, ratioOf, sideBySide } from "./figure.ts";

const PEER = join(import.meta.dirname, "egress-peer.mjs");
const BYTES = 1_000_000_000;
const RATE = 300;
const run = promisify(execFile);

export const figure: Figure = {
  name: "egress",
  subject: `1 GB from one local program to another through Core's egress proxy.`,
  floor: "the same two programs, connected directly",
  target: 4,
  measure,
};

async function measure(rounds: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "bench-egress-"));
  const storage = Storage.open(join(folder, "db"));
  const server = spawn(process.execPath, [PEER, "serve"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const port = await portOf(server);
    const egress = new Egress({ audit: await auditIn(folder, storage), corePorts: [], onFault: console.error });
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const proxyPort = (listener.address() as AddressInfo).port;
    await egress.open({ runId: "run_1", agentId: "com.example.bench", patterns: [`127.0.0.1:${port}`] }, listener);
    const [cpuMs, grown]: [number[], number[]] = [[], []];
    const pair = await sideBySide(
      rounds,
      () => copy(0, port),
      async () => {
        const [before, cpu] = [process.memoryUsage.rss(), process.cpuUsage()];
        const tookMs = await copy(proxyPort, port);
        const used = process.cpuUsage(cpu);
        cpuMs.push((used.user + used.system) / 1000);
        grown.push((process.memoryUsage.rss() - before) / 2 ** 20);
        return tookMs;
      },
    );
    egress.close("run_1");
    const rate = BYTES / 1000 / median(pair.subject);
    const possible = BYTES / 1000 / median(cpuMs);
    return ratioOf(pair, "ms", [
      `${rate.toFixed(0)} MB/s (wanted: ${RATE}); Core's CPU time would allow ${possible.toFixed(0)} MB/s.`,
      `Core's memory grows by ${median(grown).toFixed(0)} MiB during a copy.`,
    ]);
  } finally {
    server.kill();
    storage.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function copy(proxyPort: number, port: number): Promise<number> {
  const { stdout } = await run(process.execPath, [PEER, "fetch", String(proxyPort), String(port), String(BYTES)]);
  const { received, ms } = JSON.parse(stdout) as { received: number; ms: number };
  if (received !== BYTES) throw new Error(`only ${received} bytes came`);
  return ms;
}

async function portOf(server: ChildProcess): Promise<number> {
  if (server.stdout === null) throw new Error("the server says nothing");
  const [line] = (await once(server.stdout, "data")) as [Buffer];
  return Number(String(line));
}

async function auditIn(folder: string, storage: Storage): Promise<AuditLog> {
  return new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints")),
    journal: new JournalFile(join(folder, "journal")),
    observer: "core_bench",
    checkpointEvents: 1_000_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: console.error,
  });
}
