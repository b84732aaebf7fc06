/** Acts of an operator during which Core dies: what has to be there before, the act itself, and how it is done again. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { rows } from "./after-crash.ts";
import { auditRows } from "./audit-rows.ts";
import { type CoreHome, eventually, EXAMPLES, type Files, type GitRepository, gitRepository } from "./core-home.ts";
import { misbehaving, program, say } from "./run-trees.ts";
import { MANIFEST, manifestText, smallAgent } from "./small-agent.ts";

/** One act: a command, or something that happens meanwhile. It may fail: Core dies in the middle. */
export type Act = string[] | (() => void | Promise<void>);

export type Scenario = {
  /** Under a Core that is well. */
  ready?: (place: CrashPlace) => Promise<void>;
  acts: (place: CrashPlace) => Act[];
  /** The act once more after the crash, to success; leaves everything so that `ready` can begin again. */
  again: (place: CrashPlace) => Promise<void>;
};

/** Files that the builds of these agents make. */
export const BUILT = ["out/built.txt"];
export const BUILD = { build: { steps: [{ phase: "compile", argv: ["sh", "build.sh"] }] } };
export const BUILD_FILE = { "build.sh": "mkdir -p out\necho built > out/built.txt\n" };
const SETTINGS = {
  "install.allow_local": true,
  "launcher.stop_grace_ms": 300,
  "restart.initial_ms": 40,
  "restart.max_attempts": 1_000,
  "logs.max_file_bytes": 65_536,
  "logs.max_files": 3,
  "logs.keep_runs": 2,
};
const DEATH_MS = 10_000;

function tokenOf(home: CoreHome): string {
  return readFileSync(join(home.folder, "state/web.token"), "utf8");
}

/** A home in which Core is made to die, and the agents in it, each made when it is first needed. */
export class CrashPlace {
  static readonly settings: Record<string, unknown> = SETTINGS;
  readonly home: CoreHome;
  readonly repositories = new Map<string, GitRepository>();
  /** What a scenario has to remember over the crash. */
  before = "";
  #version = 1;

  constructor(home: CoreHome) {
    this.home = home;
  }

  repository(agentId: string): GitRepository {
    const found = this.repositories.get(agentId);
    if (found === undefined) throw new Error(`${agentId} has not been made`);
    return found;
  }

  /** Makes the agent unless it is there, and takes it to the stage, whatever it is at. */
  async at(
    agentId: string,
    stage: "made" | "installed" | "built" | "enabled",
    files: Files = {},
    manifest: Record<string, unknown> = {},
  ): Promise<void> {
    if (!this.repositories.has(agentId))
      this.repositories.set(agentId, await gitRepository("source", smallAgent(agentId, manifest, files)));
    if (stage === "made") return;
    if (this.#agent(agentId)?.install_path == null)
      await this.home.json(["agents", "install", this.repository(agentId).url]);
    if (stage === "installed") return;
    // One that was cut short while it put the source back has taken away what the one before had made; Core says so.
    if (await this.#mustBuild(agentId)) await this.home.json(["agents", "build", agentId, "--yes"]);
    if (stage === "enabled" && !this.#isApproved(agentId)) await this.home.json(["agents", "enable", agentId, "--all"]);
  }

  async #mustBuild(agentId: string): Promise<boolean> {
    const { next_step } = await this.home.json<{ next_step: string | null }>(["agents", "info", agentId]);
    return next_step === `opensentience agents build ${agentId}`;
  }

  #agent(agentId: string): { install_path: string | null; build_status: string } | undefined {
    if (!existsSync(join(this.home.folder, "state/core.sqlite3"))) return undefined;
    return rows<{ install_path: string | null; build_status: string }>(
      this.home,
      `SELECT * FROM agents WHERE agent_id = '${agentId}'`,
    )[0];
  }

  /** For what is installed now: an update moves on from an approval, and so does a rollback that was cut short. */
  #isApproved(agentId: string): boolean {
    const sql = `SELECT p.id FROM permission_approvals p JOIN agents a USING (agent_id)
      WHERE p.status = 'active' AND agent_id = '${agentId}'
      AND p.source_commit IS a.source_commit AND p.manifest_hash = a.manifest_hash`;
    return rows(this.home, sql).length > 0;
  }

  isInstalled(agentId: string): boolean {
    return this.#agent(agentId)?.install_path != null;
  }

  newestStatus(agentId: string): string | undefined {
    const sql = `SELECT status FROM runs WHERE agent_id = '${agentId}' ORDER BY run_id DESC LIMIT 1`;
    return rows<{ status: string }>(this.home, sql)[0]?.status;
  }

  isRunning(agentId: string): boolean {
    const sql = `SELECT run_id FROM runs WHERE status = 'running' AND agent_id = '${agentId}'`;
    return rows(this.home, sql).length > 0;
  }

  /** A clean stop, by signal: no command has to be started for it. */
  async stopCore(): Promise<void> {
    const mark = readCoreMark(join(this.home.folder, "run/core.pid"));
    if (mark === undefined) return;
    const identity = { pid: mark.pid, startTime: readProcess(mark.pid)?.startTime ?? "" };
    process.kill(mark.pid, "SIGTERM");
    await eventually(() => !isAlive(identity), "Core to have stopped");
  }

  /** Another version of the agent, in its repository only. */
  async release(agentId: string): Promise<string> {
    this.#version += 1;
    const version = `${this.#version}.0.0`;
    const old = JSON.parse(readFileSync(join(this.repository(agentId).path, MANIFEST), "utf8")) as object;
    await this.repository(agentId).commit({
      [MANIFEST]: manifestText(agentId, { ...old, version }),
      [`only-in-${version}.txt`]: version,
      "version.txt": version,
    });
    return version;
  }

  /**
   * Starts Core so that it dies at the named point, does the acts until it has died, and says whether it did. Nothing
   * of it answers then.
   */
  async dieAt(point: string, acts: Act[], waitMs = DEATH_MS): Promise<boolean> {
    await this.stopCore();
    const started = await this.home.cli(["core", "start", "--json"], { env: { OPENSENTIENCE_KILL_POINT: point } });
    if (started.code !== 0) {
      if (!started.stderr.includes("core.start_failed")) throw new Error(`Core did not start: ${started.stderr}`);
      return true;
    }
    const { pid } = JSON.parse(started.stdout) as { pid: number };
    const startTime = readProcess(pid)?.startTime ?? "";
    const isGone = (): boolean => !isAlive({ pid, startTime });
    for (const act of acts) {
      if (isGone()) break;
      if (typeof act === "function") await act();
      else await this.home.cli(act);
    }
    await eventually(isGone, point, waitMs).catch(() => undefined);
    return isGone();
  }

  versionOf(agentId: string): string {
    const manifest = readFileSync(join(this.home.sourceOf(agentId), MANIFEST), "utf8");
    return (JSON.parse(manifest) as { version: string }).version;
  }
}

/** Runs the agent and stops it: the last word on whether it can be used. */
async function runOnce(place: CrashPlace, agentId: string): Promise<void> {
  if (!place.isRunning(agentId)) await place.home.json(["agents", "run", agentId]);
  await place.home.json(["agents", "stop", agentId]);
}

function running(agentId: string, acts: (place: CrashPlace) => Act[], files: Files = {}): Scenario {
  return {
    ready: (place) => place.at(agentId, "enabled", files),
    acts: (place) => [["agents", "run", agentId], ...acts(place)],
    again: (place) => runOnce(place, agentId),
  };
}

/** Core dies at `first` in the scenario; the act is the start after that. */
function startAfter(first: string, scenario: Scenario): Scenario {
  return {
    ready: async (place) => {
      await scenario.ready?.(place);
      if (!(await place.dieAt(first, scenario.acts(place)))) throw new Error(`${first} was not reached`);
    },
    acts: () => [],
    again: scenario.again,
  };
}

const UPDATED = "crash.updated";
export const update: Scenario = {
  ready: async (place) => {
    await place.at(UPDATED, "made");
    if (!existsSync(join(place.home.folder, "agents", UPDATED, "previous/src"))) {
      await place.home.json(["agents", "install", place.repository(UPDATED).url]);
      await place.release(UPDATED);
      await place.home.json(["agents", "install", place.repository(UPDATED).url]);
    }
    await place.release(UPDATED);
  },
  acts: (place) => [["agents", "install", place.repository(UPDATED).url]],
  again: async (place) => {
    await place.home.json(["agents", "install", place.repository(UPDATED).url]);
    const newest = await place.repository(UPDATED).git("show", "HEAD:version.txt");
    if (place.versionOf(UPDATED) !== newest) throw new Error(`installed ${place.versionOf(UPDATED)}, not ${newest}`);
    await place.home.json(["agents", "build", UPDATED, "--yes"]);
  },
};

const FAILING = "crash.failing";
/** A swap that fails while Core lives: the name of its journal is taken. */
export const failingInstall: Scenario = {
  ready: (place) => place.at(FAILING, "installed"),
  acts: (place) => [
    () => void mkdirSync(join(place.home.folder, "agents", FAILING, "installing.json"), { recursive: true }),
    ["agents", "install", place.repository(FAILING).url],
  ],
  again: (place) => place.home.json(["agents", "install", place.repository(FAILING).url]),
};

const ROLLED = "crash.rolled-back";
export const rollback: Scenario = {
  ready: async (place) => {
    await place.at(ROLLED, "enabled", BUILD_FILE, BUILD);
    if (existsSync(join(place.home.folder, "agents", ROLLED, "previous/src"))) return;
    await place.release(ROLLED);
    await place.home.json(["agents", "update", ROLLED]);
    await place.home.json(["agents", "build", ROLLED, "--yes"]);
    await place.home.json(["agents", "enable", ROLLED, "--all"]);
  },
  acts: () => [["agents", "rollback", ROLLED]],
  again: async (place) => {
    const before = place.versionOf(ROLLED);
    await place.home.json(["agents", "rollback", ROLLED]);
    if (place.versionOf(ROLLED) === before) throw new Error("the rollback changed nothing");
  },
};

function removing(agentId: string, options: string[]): Scenario {
  return {
    ready: async (place) => {
      await place.at(agentId, "enabled");
      for (const folder of ["build-home", "data"]) {
        mkdirSync(join(place.home.folder, "agents", agentId, folder), { recursive: true });
        writeFileSync(join(place.home.folder, "agents", agentId, folder, "kept"), "");
      }
    },
    acts: () => [["agents", "remove", agentId, "--yes", ...options]],
    again: async (place) => {
      if (place.isInstalled(agentId)) await place.home.json(["agents", "remove", agentId, "--yes", ...options]);
      const isKept = existsSync(join(place.home.folder, "agents", agentId, "data/kept"));
      if (isKept !== options.includes("--keep-data")) throw new Error(`data kept: ${isKept}`);
    },
  };
}
export const remove: Scenario = removing("crash.removed", []);
export const removeKeepingData: Scenario = removing("crash.removed-kept", ["--keep-data"]);

const BUILDING = "crash.built";
export const build: Scenario = {
  ready: (place) => place.at(BUILDING, "installed", BUILD_FILE, BUILD),
  acts: () => [["agents", "build", BUILDING, "--yes"]],
  again: (place) => place.home.json(["agents", "build", BUILDING, "--yes"]),
};
/** What an earlier build made is in the source, which the build puts back first. */
export const rebuild: Scenario = { ...build, ready: (place) => place.at(BUILDING, "built", BUILD_FILE, BUILD) };

const ENABLED = "crash.enabled";
export const enable: Scenario = {
  ready: (place) => place.at(ENABLED, "built"),
  acts: () => [["agents", "enable", ENABLED, "--all"]],
  again: (place) => place.home.json(["agents", "enable", ENABLED, "--all"]),
};

export const runAndStop: Scenario = running("crash.run", () => [["agents", "stop", "crash.run"]]);
export const stopStubborn: Scenario = running(
  "crash.stubborn",
  () => [["agents", "stop", "crash.stubborn"]],
  misbehaving("refuses-to-die.sh"),
);
export const coreStop: Scenario = {
  ...running("crash.run", () => [["core", "stop"]]),
};
export const flood: Scenario = running(
  "crash.flood",
  () => [],
  program(
    '#!/bin/sh\ni=0\nwhile [ $i -lt 4000 ]; do echo "line $i of a flood that fills files"; i=$((i+1)); done\nexec sleep 1000\n',
  ),
);
export const manyRuns: Scenario = running("crash.pruned", () =>
  [1, 2, 3].flatMap(() => [
    ["agents", "stop", "crash.pruned"],
    ["agents", "run", "crash.pruned"],
  ]),
);

const RESTARTED = "crash.restarted";
export const restart: Scenario = {
  ready: (place) => place.at(RESTARTED, "enabled", misbehaving("ends-on-word.sh")),
  acts: (place) => [["agents", "run", RESTARTED, "--restart", "always"], () => say(place.home, RESTARTED, "code 1")],
  again: async (place) => {
    // Core may have died before the run was even asked for: then nothing is to be started again.
    if (place.newestStatus(RESTARTED) === "stopped" || place.newestStatus(RESTARTED) === undefined)
      await place.home.json(["agents", "run", RESTARTED]);
    await eventually(() => place.isRunning(RESTARTED), "what was to be started again to run");
    await place.home.json(["agents", "stop", RESTARTED]);
  },
};

const CALLED = "crash.called";
const CALLED_FILES = { "main.js": helloTools("main.js"), "opensentience-sdk.js": helloTools("opensentience-sdk.js") };
const CALLED_MANIFEST = { entrypoint: { type: "command", value: "node", args: ["main.js"] }, capabilities: ["tools"] };

function helloTools(name: string): string {
  return readFileSync(join(EXAMPLES, "hello-tools", name), "utf8");
}

/** Until it has succeeded, or Core cannot be reached any more. */
async function callTool({ home }: CrashPlace): Promise<void> {
  const call = ["tools", "call", `${CALLED}/hello_world`, "--input", "{}", "--no-start"];
  await eventually(async () => [0, 5].includes((await home.cli(call)).code), "the tool to be offered");
}

export const toolCall: Scenario = {
  ready: (place) => place.at(CALLED, "enabled", CALLED_FILES, CALLED_MANIFEST),
  acts: (place) => [
    ["agents", "run", CALLED],
    () => callTool(place),
    // What the call left in the journal goes into the table before this.
    ["agents", "stop", CALLED, "--no-start"],
  ],
  again: async (place) => {
    if (!place.isRunning(CALLED)) await place.home.json(["agents", "run", CALLED]);
    await callTool(place);
    await place.home.json(["agents", "stop", CALLED]);
    const [routed, ended] = ["tool.call_routed", "tool.call_completed"].map(
      (type) => auditRows(place.home, type).length,
    );
    if (routed !== ended) throw new Error(`${routed} calls were handed over, ${ended} have an end`);
  },
};

/** A stop that was asked for holds, also when Core is lost before the agent has ended, and whatever its policy. */
export const stopOfRestarted: Scenario = {
  ...restart,
  acts: () => [
    ["agents", "run", RESTARTED, "--restart", "always"],
    ["agents", "stop", RESTARTED],
  ],
  again: async (place) => {
    const run = await place.home.json<{ status: string; reason: string }>(["agents", "stop", RESTARTED]);
    if (run.reason !== "core_lost") throw new Error(`started again although a stop was asked for: ${run.reason}`);
  },
};

export const checkpoint: Scenario = {
  acts: () => [["audit", "checkpoint"]],
  again: (place) => place.home.json(["audit", "checkpoint"]),
};
export const tornCheckpoint: Scenario = {
  ...checkpoint,
  ready: async (place) => {
    await place.home.json(["audit", "checkpoint"]);
    await place.stopCore();
    appendFileSync(join(place.home.folder, "state/audit.checkpoints"), "opensentience/audit\n9");
  },
};
export const erase: Scenario = {
  ready: (place) => place.at(ENABLED, "built"),
  acts: (place) => {
    const erased = new Set(auditRows(place.home, "audit.erased").map(({ subject }) => Number(subject)));
    const row = auditRows(place.home, "core.started").find(({ seq }) => !erased.has(seq));
    return [["audit", "erase", String(row?.seq), "--reason", "a test", "--yes"]];
  },
  again: (place) => place.home.json(["audit", "checkpoint"]),
};
/** Whatever a crash leaves of it, the token of before is void. */
export const rotateToken: Scenario = {
  ready: async (place) => {
    await place.home.json(["core", "start"]);
    place.before = tokenOf(place.home);
  },
  acts: () => [["core", "rotate-token"]],
  again: async (place) => {
    if (tokenOf(place.home) === place.before) throw new Error("the token of before the crash is still good");
    await place.home.json(["core", "rotate-token"]);
  },
};
export const coreStart: Scenario = { acts: () => [], again: (place) => place.home.json(["core", "status"]) };

export const startAfterOldMoved: Scenario = startAfter("install.old_moved", update);
export const startAfterNewInPlace: Scenario = startAfter("install.new_in_place", update);
export const startAfterRollback: Scenario = startAfter("rollback.swapped", rollback);
export const startAfterCommit: Scenario = startAfter("install.swap_committed", update);
export const startAfterRestore: Scenario = startAfter("restore.source_moved", rebuild);
export const startAfterRemoval: Scenario = startAfter("remove.moved", remove);
export const startAfterKeptRemoval: Scenario = startAfter("remove.part_moved", removeKeepingData);
export const startAfterRun: Scenario = startAfter("run.go_sent", runAndStop);
