/**
 * kill -9 of Core at random moments, while acts on three agents are under way at once. A moment is drawn from the whole time
 * that the act took when it was last seen to end, so that every part of it is hit. The same invariants as at named moments.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { brokenAfterCrash } from "../support/after-crash.ts";
import { eventually, newHome } from "../support/core-home.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { BUILD, BUILD_FILE, BUILT, CrashPlace } from "../support/crash-scenarios.ts";

const AGENTS = ["random.one", "random.two", "random.three"] as const;
const KINDS = ["install", "build", "enable", "run", "stop", "update", "rollback", "remove"] as const;
type Kind = (typeof KINDS)[number];
/** What an act is taken to last before one of its kind was seen to end, in ms. */
const FIRST_GUESS_MS = 300;
/** Where an agent has to be for the act, if it is more than installed. */
const STAGES: { [kind in Kind]?: "built" | "enabled" } = { enable: "built", run: "enabled", stop: "enabled" };
const OPTIONS: { [kind in Kind]?: string[] } = { enable: ["--all"], build: ["--yes"], remove: ["--yes"] };

const random = randomNumbers(seed);
let place: CrashPlace;
beforeAll(async () => {
  place = new CrashPlace(await newHome({ settings: CrashPlace.settings }));
  for (const agentId of AGENTS) await place.at(agentId, "made", BUILD_FILE, BUILD);
});
afterAll(() => place.home.dispose());

/** Takes the agent to where the act makes sense. */
async function prepare(agentId: string, kind: Kind): Promise<void> {
  if (place.isRunning(agentId) && kind !== "stop") await place.home.json(["agents", "stop", agentId]);
  if (kind === "install") return void (await place.release(agentId));
  await place.at(agentId, STAGES[kind] ?? "installed");
  if (kind === "stop" && !place.isRunning(agentId)) await place.home.json(["agents", "run", agentId]);
  const hasPrevious = existsSync(join(place.home.folder, "agents", agentId, "previous/src"));
  if (kind === "update" || (kind === "rollback" && !hasPrevious)) await place.release(agentId);
  if (kind === "rollback" && !hasPrevious) await place.home.json(["agents", "update", agentId]);
}

function command(agentId: string, kind: Kind): string[] {
  const operand = kind === "install" ? place.repository(agentId).url : agentId;
  return ["agents", kind, operand, ...(OPTIONS[kind] ?? [])];
}

type Started = { kind: Kind; agentId: string; ended: Promise<unknown>; isOver: () => boolean };
const lasts = new Map<Kind, number>();

/** Never starts a Core: what comes after the kill must not look like it came before. */
function start(agentId: string, kind: Kind): Started {
  const startedMs = performance.now();
  let isOver = false;
  const ended = place.home.cli([...command(agentId, kind), "--no-start", "--json"]).then((result) => {
    isOver = true;
    if (result.code === 0) lasts.set(kind, performance.now() - startedMs);
  });
  return { kind, agentId, ended, isOver: () => isOver };
}

async function killCore(): Promise<void> {
  const { pid } = readCoreMark(join(place.home.folder, "run/core.pid")) ?? { pid: 0 };
  const identity = { pid, startTime: readProcess(pid)?.startTime ?? "" };
  process.kill(pid, "SIGKILL");
  await eventually(() => !isAlive(identity), "Core to be dead");
}

describe("kill -9 of Core at random moments", () => {
  test("of mixed acts on three agents breaks no invariant, and each act can be done again", async () => {
    const rounds = times({ suite: 8, soak: 200 });
    const hits = new Map<Kind, number>(KINDS.map((kind) => [kind, 0]));
    let late = 0;
    for (let round = 0; round < rounds; round += 1) {
      const chosen = AGENTS.map((agentId, index) => {
        const kind = KINDS[(round + (index === 0 ? 0 : Math.floor(random() * KINDS.length))) % KINDS.length] ?? "run";
        return { agentId, kind };
      });
      // The first of them starts Core.
      await place.home.json(["core", "start"]);
      await Promise.all(chosen.map(({ agentId, kind }) => prepare(agentId, kind)));
      const acts = chosen.map(({ agentId, kind }) => start(agentId, kind));
      await delay(random() * (lasts.get(acts[0]?.kind ?? "run") ?? FIRST_GUESS_MS));
      for (const act of acts) {
        if (act.isOver()) late += 1;
        else hits.set(act.kind, (hits.get(act.kind) ?? 0) + 1);
      }
      await killCore();
      await Promise.all(acts.map(({ ended }) => ended));
      const what = `round ${round} of seed ${seed}: ${chosen.map(({ agentId, kind }) => `${kind} ${agentId}`).join(", ")}`;
      expect(await brokenAfterCrash(place.home, place.repositories, BUILT), what).toEqual([]);
      const [again] = chosen;
      if (again === undefined) continue;
      await prepare(again.agentId, again.kind);
      await place.home.json(command(again.agentId, again.kind));
    }
    const histogram = [...hits].map(([kind, count]) => `${kind} ${count}`).join(", ");
    found(
      `kill -9 of Core at ${rounds} random moments`,
      `no invariant broken; acts under way: ${histogram}; just over: ${late}`,
    );
    expect(
      [...hits.values()].reduce((sum, count) => sum + count, 0),
      histogram,
    ).toBeGreaterThan(rounds);
    if (rounds >= 100) for (const [kind, count] of hits) expect(count, kind).toBeGreaterThan(0);
  });
});

describe("SIGTERM at random moments of a start", () => {
  test("ends Core with nothing left behind it, and the next one starts", async () => {
    const rounds = times({ suite: 3, soak: 60 });
    const mark = join(place.home.folder, "run/core.pid");
    let startMs = FIRST_GUESS_MS;
    for (let round = 0; round < rounds; round += 1) {
      await place.stopCore();
      const startedMs = performance.now();
      const starting = place.home.cli(["core", "start"]).then(({ code }) => {
        if (code === 0) startMs = performance.now() - startedMs;
      });
      const { pid } = await eventually(() => readCoreMark(mark), "the mark of a Core that starts");
      const identity = { pid, startTime: readProcess(pid)?.startTime ?? "" };
      await delay((random() * startMs) / 2);
      process.kill(pid, "SIGTERM");
      await starting;
      await eventually(
        () => !isAlive(identity),
        `Core to end after a SIGTERM in its start: ${place.home.coreLog().slice(-2_000)}`,
      );
      expect(await brokenAfterCrash(place.home, place.repositories, BUILT)).toEqual([]);
    }
    found(`SIGTERM at ${rounds} random moments of Core's start`, "each ended by itself, nothing left");
  });
});
