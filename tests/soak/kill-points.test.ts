/**
 * Core dies at every named moment (packages/core/src/host/kill-point.ts), each reached by an act of the operator; then it is
 * started again, every invariant is looked at, and the act is done once more, to success.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KILL_POINTS, type KillPoint } from "../../packages/core/src/host/kill-point.ts";
import { readSources } from "../architecture/source-tree.ts";
import { brokenAfterCrash } from "../support/after-crash.ts";
import { BINARY, newHome } from "../support/core-home.ts";
import { found, isSoak, randomNumbers, seed } from "../support/counts.ts";
import * as scenarios from "../support/crash-scenarios.ts";
import { BUILT, CrashPlace, type Scenario } from "../support/crash-scenarios.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
/** How often in a row one scenario may pass one point before the soak goes on to the next. */
const MOST_PASSES = 2;

/** How many of the names a run of the suite takes, by its seed; each costs a second. */
const SUITE_SHARE = 0.1;

type Kind = "namespaces" | "groups" | "fresh" | "migrating";
type Case = [scenario: Scenario, options?: { kind?: Kind; nth?: number }];

/** How each moment is reached; the first of a list in every run, all of them, at every pass, in the soak. */
const CASES: Record<KillPoint, Case[]> = {
  "file.temporary_written": [
    [scenarios.update, { nth: 2 }],
    [scenarios.rollback],
    [scenarios.build],
    [scenarios.coreStart, { kind: "fresh" }],
  ],
  "file.replaced": [[scenarios.update, { nth: 3 }], [scenarios.build], [scenarios.coreStart, { kind: "fresh" }]],
  "file.appended": [[scenarios.checkpoint]],
  "mark.temporary_written": [[scenarios.coreStart], [scenarios.coreStop]],
  "mark.replaced": [[scenarios.coreStop, { nth: 3 }], [scenarios.coreStart]],
  "tool.spawned": [
    [scenarios.update, { nth: 5 }],
    [scenarios.rebuild],
    [scenarios.runAndStop],
    [scenarios.runAndStop, { kind: "groups" }],
  ],
  "pipes.made": [[scenarios.runAndStop], [scenarios.build]],
  "pipes.opened": [[scenarios.runAndStop], [scenarios.build]],

  "start.locked": [[scenarios.coreStart], [scenarios.coreStart, { kind: "fresh" }]],
  "start.recorded": [[scenarios.coreStart], [scenarios.startAfterRun]],
  "start.reconciled": [[scenarios.startAfterRun], [scenarios.startAfterOldMoved]],
  "start.sockets_removed": [[scenarios.coreStart]],
  "start.listening": [[scenarios.coreStart], [scenarios.coreStart, { kind: "fresh" }]],
  "reconcile.swap_undone": [[scenarios.startAfterNewInPlace], [scenarios.startAfterRollback]],
  "reconcile.swap_confirmed": [[scenarios.startAfterCommit]],
  "reconcile.source_in_place": [[scenarios.startAfterRestore]],
  "reconcile.removal_finished": [[scenarios.startAfterKeptRemoval], [scenarios.startAfterRemoval]],
  "reconcile.leftovers_ended": [[scenarios.startAfterRun], [scenarios.startAfterRun, { kind: "groups" }]],
  "reconcile.staging_emptied": [[scenarios.coreStart]],

  "storage.backup_copied": [[scenarios.coreStart, { kind: "migrating" }]],
  "storage.backup_in_place": [[scenarios.coreStart, { kind: "migrating" }]],
  "storage.migrated": [
    [scenarios.coreStart, { kind: "migrating" }],
    [scenarios.coreStart, { kind: "fresh" }],
  ],
  "audit.event_committed": [
    [scenarios.enable, { nth: 2 }],
    [scenarios.update],
    [scenarios.rollback],
    [scenarios.remove],
    [scenarios.build],
    [scenarios.runAndStop],
    [scenarios.restart],
    [scenarios.coreStop],
    [scenarios.startAfterOldMoved],
    [scenarios.startAfterRemoval],
    [scenarios.startAfterRun],
  ],
  "audit.rows_journaled": [[scenarios.toolCall, { nth: 2 }], [scenarios.toolCall]],
  "audit.rows_inserted": [[scenarios.toolCall]],
  "audit.key_made": [[scenarios.coreStart, { kind: "fresh" }]],
  "audit.notes_cut": [[scenarios.tornCheckpoint]],
  "audit.checkpoint_written": [[scenarios.checkpoint], [scenarios.enable], [scenarios.coreStop]],
  "audit.checkpoint_recorded": [[scenarios.checkpoint]],
  "audit.erased": [[scenarios.erase]],

  "install.staging_made": [[scenarios.update]],
  "install.repository_prepared": [[scenarios.update]],
  "install.fetched": [[scenarios.update]],
  "install.tree_written": [[scenarios.update]],
  "install.entries_saved": [[scenarios.update]],
  "install.intent_recorded": [[scenarios.update]],
  "install.journal_written": [[scenarios.update], [scenarios.rollback]],
  "install.previous_set_aside": [[scenarios.update], [scenarios.rollback]],
  "install.previous_made": [[scenarios.update], [scenarios.rollback]],
  "install.part_moved": [[scenarios.update], [scenarios.rollback, { nth: 5 }]],
  "install.old_moved": [[scenarios.update], [scenarios.rollback]],
  "install.new_in_place": [[scenarios.update], [scenarios.rollback]],
  "install.swap_committed": [[scenarios.update]],
  "install.replaced_moved": [[scenarios.update], [scenarios.rollback]],
  "install.journal_removed": [[scenarios.update], [scenarios.rollback]],
  "install.part_put_back": [[scenarios.startAfterRollback, { nth: 2 }], [scenarios.startAfterOldMoved]],
  "install.undone": [[scenarios.failingInstall]],
  "install.log_written": [[scenarios.update]],
  "install.staging_removed": [[scenarios.update]],
  "rollback.intent_recorded": [[scenarios.rollback]],
  "rollback.swapped": [[scenarios.rollback]],
  "rollback.committed": [[scenarios.rollback]],
  "rollback.confirmed": [[scenarios.rollback]],
  "restore.tree_written": [[scenarios.rebuild]],
  "restore.beside_source": [[scenarios.rebuild]],
  "restore.source_moved": [[scenarios.rebuild]],
  "restore.source_in_place": [[scenarios.rebuild]],
  "remove.intent_recorded": [[scenarios.remove]],
  "remove.part_moved": [[scenarios.removeKeepingData]],
  "remove.moved": [[scenarios.remove], [scenarios.removeKeepingData]],
  "remove.committed": [[scenarios.remove]],
  "remove.tree_deleted": [[scenarios.remove]],

  "build.intent_recorded": [[scenarios.build]],
  "build.home_made": [[scenarios.build]],
  "build.step_spawned": [[scenarios.build]],
  "build.go_sent": [[scenarios.build]],
  "build.step_ended": [[scenarios.build]],
  "build.socket_folder_removed": [[scenarios.build]],
  "build.tree_hashed": [[scenarios.build]],
  "build.entries_saved": [[scenarios.build]],

  "box.spawned": [[scenarios.runAndStop], [scenarios.build]],
  "box.ready": [[scenarios.runAndStop], [scenarios.build]],
  "group.spawned": [[scenarios.runAndStop, { kind: "groups" }]],
  "group.signalled": [[scenarios.runAndStop, { kind: "groups" }]],
  "group.killed": [[scenarios.stopStubborn, { kind: "groups" }]],
  "run.folders_made": [[scenarios.runAndStop]],
  "run.logs_pruned": [[scenarios.runAndStop]],
  "run.socket_listening": [[scenarios.runAndStop]],
  "run.intent_written": [[scenarios.runAndStop]],
  "run.box_spawned": [[scenarios.runAndStop]],
  "run.pid_recorded": [[scenarios.runAndStop], [scenarios.runAndStop, { kind: "groups" }]],
  "run.go_sent": [[scenarios.runAndStop], [scenarios.stopStubborn, { kind: "groups" }]],
  "run.tree_gone": [[scenarios.runAndStop], [scenarios.restart]],
  "run.output_drained": [[scenarios.runAndStop]],
  "run.end_recorded": [[scenarios.runAndStop], [scenarios.restart]],
  "run.socket_folder_removed": [[scenarios.runAndStop]],
  "restart.scheduled": [[scenarios.restart]],
  "restart.due": [[scenarios.restart]],
  "stop.requested": [[scenarios.stopOfRestarted], [scenarios.runAndStop]],
  "stop.held": [[scenarios.runAndStop]],
  "stop.signalled": [[scenarios.stopStubborn]],
  "stop.killed": [[scenarios.stopStubborn]],
  "log.file_moved": [[scenarios.flood]],
  "log.rotated": [[scenarios.flood]],
  "log.pruned": [[scenarios.manyRuns]],

  "token.intent_recorded": [[scenarios.rotateToken]],
  "token.replaced": [[scenarios.rotateToken]],

  "core.stop_begun": [[scenarios.coreStop]],
  "core.stop_agents_ended": [[scenarios.coreStop]],
  "core.stop_recorded": [[scenarios.coreStop]],
  "core.stop_storage_closed": [[scenarios.coreStop]],
  "core.stop_socket_removed": [[scenarios.coreStop]],
  "core.stop_mark_removed": [[scenarios.coreStop]],
};

let folder = "";
const places = new Map<Kind, CrashPlace>();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "os-kill-"));
});
afterAll(async () => {
  for (const place of places.values()) await place.home.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** The home that cases of a kind share; each case with a fresh one has its own. */
async function placeOf(kind: Kind): Promise<CrashPlace> {
  const known = places.get(kind);
  if (known !== undefined && (kind === "namespaces" || kind === "groups")) return known;
  if (known !== undefined) await known.home.dispose();
  // Without bubblewrap there is no sandbox, and then nothing runs that was not said to.
  const env: Record<string, string> =
    kind === "groups" ? { OPENSENTIENCE_TOOLS_PATH: toolsWithoutBubblewrap(), OPENSENTIENCE_SANDBOX_MODE: "off" } : {};
  const binary = kind === "migrating" ? join(folder, "newer/bin/opensentience") : BINARY;
  if (kind === "migrating") copyProgram();
  const place = new CrashPlace(await newHome({ settings: CrashPlace.settings, env, binary }));
  places.set(kind, place);
  if (kind === "fresh") rmSync(place.home.folder, { recursive: true });
  if (kind === "migrating") {
    await place.home.json(["core", "start"]);
    await place.home.json(["core", "stop"]);
    const migration = join(folder, "newer/dist/migrations/9000-of-a-test.sql");
    writeFileSync(migration, "CREATE TABLE of_a_test (id INTEGER PRIMARY KEY);\n");
  }
  return place;
}

function toolsWithoutBubblewrap(): string {
  const tools = join(folder, "tools");
  mkdirSync(tools, { recursive: true });
  for (const name of ["git", "sh", "sleep", "setsid", "mkdir"]) symlinkSync(join("/usr/bin", name), join(tools, name));
  return tools;
}

/** The bundled program once more, to give it a migration of its own. */
function copyProgram(): void {
  const core = dirname(dirname(BINARY));
  rmSync(join(folder, "newer"), { recursive: true, force: true });
  for (const part of ["bin", "dist"]) cpSync(join(core, part), join(folder, "newer", part), { recursive: true });
}

/** Dies there, looks, does it again; false when the point was not passed that often. */
async function crash(point: string, scenario: Scenario, kind: Kind, waitMs?: number): Promise<boolean> {
  const place = await placeOf(kind);
  try {
    if (kind === "namespaces" || kind === "groups") await scenario.ready?.(place);
    const wasReached = await place.dieAt(point, scenario.acts(place), waitMs);
    // A Core that is still to die must not do so in what comes next.
    if (!wasReached) await place.stopCore();
    if (!wasReached) return false;
    expect(await brokenAfterCrash(place.home, place.repositories, BUILT), `after ${point}`).toEqual([]);
    await scenario.again(place);
    return true;
  } catch (error) {
    // What is broken in this home must not be found again after the next crash.
    places.delete(kind);
    throw error;
  }
}

describe("the table of kill points", () => {
  test("names exactly the calls in the code, each once", () => {
    const files = readSources(REPOSITORY, ["packages/core/src"]).filter(({ path }) => !path.endsWith(".test.ts"));
    const calls = files.flatMap(({ path }) =>
      [...readFileSync(join(REPOSITORY, path), "utf8").matchAll(/\bkillPoint\(\s*("?[^")]*"?)/g)].map(
        ([, name]) => name,
      ),
    );
    const declaration = "name: KillPoint";
    const expected = [declaration, ...Object.keys(KILL_POINTS).map((name) => `"${name}"`)];
    expect(new Set(calls)).toEqual(new Set(expected));
    expect(calls).toHaveLength(expected.length);
    expect(files.length).toBeGreaterThan(80);
  });

  test("an unknown name is refused", async () => {
    const place = await placeOf("namespaces");
    for (const setting of ["install.nothing", "start.locked:0", "toString"]) {
      const env = { OPENSENTIENCE_KILL_POINT: setting };
      expect((await place.home.fails(["core", "start"], { env })).error.code).toBe("config.invalid");
    }
  });
});

describe("kill -9 of Core", () => {
  const random = randomNumbers(seed);
  const all = Object.entries(CASES).flatMap(([point, cases]) =>
    (isSoak ? cases : cases.slice(0, 1)).map(
      ([scenario, options]) =>
        ({ point, scenario, kind: options?.kind ?? "namespaces", nth: options?.nth ?? 1 }) as const,
    ),
  );
  const chosen = all.filter(() => isSoak || random() < SUITE_SHARE);
  let deaths = 0;

  test.each(chosen)("at $point:$nth ($kind)", async ({ point, scenario, kind, nth }) => {
    expect(await crash(`${point}:${nth}`, scenario, kind), `${point}:${nth} was not reached`).toBe(true);
    deaths += 1;
    if (!isSoak) return;
    for (let pass = 1; pass <= MOST_PASSES; pass += 1) {
      if (pass === nth) continue;
      if (!(await crash(`${point}:${pass}`, scenario, kind, 1_500))) break;
      deaths += 1;
    }
  });

  afterAll(() =>
    found(
      `kill -9 of Core at ${Object.keys(KILL_POINTS).length} named moments`,
      `${deaths} deaths; after each the next start closed everything and the act succeeded when done again`,
    ),
  );
});
