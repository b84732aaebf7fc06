/**
 * Core as a script: a real Unix socket, and a real agent process that talks to it through the SDK. Says whatever the test
 * wants, right or wrong; notes whatever the agent says.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll } from "vitest";
import { FrameDecoder, encodeFrame } from "../../packages/protocol/src/frame.ts";
import { spawnProcess, whenExited } from "../../packages/core/src/host/child-process.ts";

const SDK: string = resolve(import.meta.dirname, "../../packages/sdk/src/index.ts");
export const AGENT_ID = "com.example.scripted";
const TIMEOUT_MS = 30_000;

export type Said = {
  type: string;
  id: string;
  payload: Record<string, unknown>;
  [member: string]: unknown;
};

const open = new Set<ScriptedCore>();
afterAll(() => {
  for (const core of open) core.dispose();
});

export class ScriptedCore {
  /** Everything the agent said, in order. */
  readonly said: Said[] = [];
  readonly token: string = randomBytes(32).toString("base64url");
  /** How the agent ended. */
  readonly end: Promise<{ exitCode: number | null; stderr: string }>;
  readonly pid: number;
  readonly #folder: string;
  readonly #server: Server;
  readonly #kill: (signal: NodeJS.Signals) => void;
  #socket: Socket | undefined;
  #sent = 0;
  #look: () => void = () => {};

  private constructor(folder: string, server: Server, program: string) {
    this.#folder = folder;
    this.#server = server;
    server.on("connection", (socket) => this.#connected(socket));
    const child = spawnProcess([process.execPath, "--input-type=module", "--eval", program.replaceAll("SDK", SDK)], {
      cwd: folder,
      env: {
        HOME: folder,
        TMPDIR: folder,
        OPENSENTIENCE_AGENT_ID: AGENT_ID,
        OPENSENTIENCE_RUN_ID: "run_scripted",
        OPENSENTIENCE_SOCKET_PATH: join(folder, "s"),
        OPENSENTIENCE_SESSION_TOKEN: this.token,
        OPENSENTIENCE_PROTOCOL_VERSION: "1",
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.pid = child.pid ?? 0;
    this.#kill = (signal) => void child.kill(signal);
    const errors = child.stderr === null ? Promise.resolve("") : text(child.stderr);
    this.end = whenExited(child).then(async ({ exitCode }) => ({ exitCode, stderr: await errors }));
    open.add(this);
  }

  /** `program` imports "SDK" and runs an agent. */
  static async start(program: string): Promise<ScriptedCore> {
    const folder = mkdtempSync(join(tmpdir(), "os-core-"));
    const server = createServer();
    server.listen(join(folder, "s"));
    await once(server, "listening");
    return new ScriptedCore(folder, server, program);
  }

  /** An agent with these tools (the body of an object literal), welcomed. */
  static async welcoming(tools: string, more = ""): Promise<ScriptedCore> {
    const core = await ScriptedCore.start(agentProgram(tools, more));
    await core.until((said) => said.type === "agent.hello");
    core.welcome();
    await core.until((said) => said.type === "agent.heartbeat");
    return core;
  }

  welcome(): void {
    const server = { core_version: "0.0.0", instance_id: "scripted" };
    this.send("core.welcome", {
      accepted_version: 1,
      session_id: "ses_scripted",
      heartbeat_interval_ms: 5_000,
      server,
    });
  }

  send(type: string, payload: unknown, more: Record<string, unknown> = {}): void {
    this.#sent += 1;
    const message = { v: 1, type, id: `core-${this.#sent}`, ts: new Date().toISOString(), ...more, payload };
    this.raw(encodeFrame([Buffer.from(JSON.stringify(message))]));
  }

  raw(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  call(callId: string, tool: string, input: unknown = {}): void {
    this.send("core.tool.call", { call_id: callId, tool_id: `${AGENT_ID}/${tool}`, input }, { request_id: callId });
  }

  /** The result of a call, and that there is no second one so far. */
  async result(callId: string): Promise<Said> {
    const isIt = (said: Said): boolean => said.type === "agent.tool.result" && said.payload["call_id"] === callId;
    const found = await this.until(isIt);
    if (this.said.filter(isIt).length !== 1) throw new Error(`${callId} has several results`);
    return found;
  }

  async called(callId: string, tool: string, input: unknown = {}): Promise<Record<string, unknown>> {
    this.call(callId, tool, input);
    return (await this.result(callId)).payload;
  }

  /** The first thing the agent said, or says, that fits. */
  async until(fits: (said: Said) => boolean): Promise<Said> {
    const { promise, resolve, reject } = Promise.withResolvers<Said>();
    const fail = (): void =>
      reject(new Error(`the agent never said it, but: ${this.said.map(({ type }) => type).join(", ")}`));
    const timer = setTimeout(fail, TIMEOUT_MS);
    this.#look = () => {
      const found = this.said.find((said) => fits(said));
      if (found !== undefined) resolve(found);
    };
    this.#look();
    void this.end.then(({ stderr }) => reject(new Error(`the agent ended: ${stderr}`)));
    return await promise.finally(() => clearTimeout(timer));
  }

  signal(name: NodeJS.Signals): void {
    this.#kill(name);
  }

  /** Stops reading what the agent says. */
  pause(): void {
    this.#socket?.pause();
  }

  hangUp(): void {
    this.#socket?.destroy();
  }

  dispose(): void {
    open.delete(this);
    this.#kill("SIGKILL");
    this.#socket?.destroy();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #connected(socket: Socket): void {
    this.#socket = socket;
    const decoder = new FrameDecoder();
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      for (const body of decoder.push(chunk)) {
        this.said.push(JSON.parse(Buffer.from(body).toString("utf8")) as Said);
        this.#look();
      }
    });
  }
}

export function agentProgram(tools: string, more = ""): string {
  return `import { defineAgent, tool, ToolError } from "SDK";
    const any = { description: "Any.", inputSchema: { type: "object" } };
    ${more}
    defineAgent({ version: "1.0.0", tools: { ${tools} } }).run();`;
}
