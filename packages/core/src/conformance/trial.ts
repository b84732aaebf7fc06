/** One agent, started for a test: a private folder with the run's socket, the process, what it wrote, and its end. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreError, PROTOCOL_VERSION, RUN_VARIABLES } from "@opensentience/protocol";
import { spawnProcess, whenExited, whenSpawned, type ChildProcess, type Exit } from "../host/child-process.ts";
import { Peer } from "./peer.ts";

/** What is started, as Core would start it but for the sandbox. */
export type Program = {
  argv: readonly string[];
  cwd: string;
  agentId: string;
  /** What an agent finds in PATH. */
  toolPath: string;
  /** More variables, such as MIX_ENV. */
  env: Record<string, string>;
};

/** How much of what an agent writes is kept, in characters; the end of it. */
const KEPT_OUTPUT = 65_536;

export class Trial {
  readonly token: string = randomBytes(32).toString("base64url");
  readonly peers: Peer[] = [];
  /** The end of standard output and standard error. */
  output = "";
  exit: Exit | undefined;
  readonly #folder: string;
  readonly #server: Server;
  readonly #child: ChildProcess;
  #wake: (() => void)[] = [];

  private constructor(folder: string, server: Server, program: Program) {
    this.#folder = folder;
    this.#server = server;
    server.on("connection", (socket) => {
      this.peers.push(new Peer(socket));
      this.#wakeAll();
    });
    this.#child = spawnProcess(program.argv, {
      cwd: program.cwd,
      env: environmentOf(program, folder, this.token),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-KEPT_OUTPUT)));
    }
    void whenExited(this.#child).then((exit) => {
      this.exit = exit;
      this.#wakeAll();
    });
  }

  /** Starts the program. Throws `core.tool_missing` when there is no such program. */
  static async begin(program: Program): Promise<Trial> {
    // Short: the path of a Unix socket has room for about a hundred characters.
    const folder = await mkdtemp(join(tmpdir(), "os-test-"));
    for (const name of ["data", "tmp"]) await mkdir(join(folder, name), { mode: 0o700 });
    const server = createServer({ allowHalfOpen: false });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(join(folder, "core.sock"), resolve);
    });
    await chmod(join(folder, "core.sock"), 0o600);
    const trial = new Trial(folder, server, program);
    try {
      await whenSpawned(trial.#child);
    } catch (cause) {
      await trial.end();
      throw new CoreError("core.tool_missing", `${program.argv[0] ?? ""} cannot be started in ${program.cwd}`, {
        cause,
      });
    }
    return trial;
  }

  /** The first connection; undefined when none came in time, or the program ended without one. */
  async connection(withinMs: number): Promise<Peer | undefined> {
    await this.#until(() => this.peers.length > 0 || this.exit !== undefined, withinMs);
    return this.peers[0];
  }

  /** How the program ended by itself; undefined when it did not in time. */
  async exited(withinMs: number): Promise<Exit | undefined> {
    await this.#until(() => this.exit !== undefined, withinMs);
    return this.exit;
  }

  /** Ends the program with everything of its group, and removes the folder. Idempotent. */
  async end(): Promise<void> {
    for (const peer of this.peers) peer.destroy();
    this.#server.close();
    if (this.#child.pid !== undefined && this.exit === undefined) {
      try {
        process.kill(-this.#child.pid, "SIGKILL");
      } catch {
        // It ended a moment ago.
      }
      await this.#until(() => this.exit !== undefined, 5_000);
    }
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #until(isReached: () => boolean, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!isReached()) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function environmentOf(program: Program, folder: string, token: string): Record<string, string> {
  return {
    PATH: program.toolPath,
    LANG: "C.UTF-8",
    PYTHONDONTWRITEBYTECODE: "1",
    ...program.env,
    [RUN_VARIABLES.dataFolder]: join(folder, "data"),
    [RUN_VARIABLES.temporaryFolder]: join(folder, "tmp"),
    [RUN_VARIABLES.agentId]: program.agentId,
    [RUN_VARIABLES.runId]: "run_conformance",
    [RUN_VARIABLES.socketPath]: join(folder, "core.sock"),
    [RUN_VARIABLES.sessionToken]: token,
    [RUN_VARIABLES.protocolVersion]: String(PROTOCOL_VERSION),
  };
}
