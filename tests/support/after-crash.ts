/**
 * What holds once Core is back after a crash, whatever the moment: the same checks for every test that kills Core. They look at
 * processes, files and rows themselves, not at what Core says of them.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { shortId } from "../../packages/protocol/src/ids.ts";
import type { CoreHome, GitRepository } from "./core-home.ts";
import { membersOf } from "./run-trees.ts";

type AgentRow = { agent_id: string; install_path: string | null; source_commit: string | null; build_status: string };
type RunRow = { run_id: string; agent_id: string; status: string; pid: number | null; pid_start_time: string | null };
type EventRow = {
  seq: number;
  event_id: string;
  event_type: string;
  outcome: string;
  subject_id: string;
  correlation_id: string | null;
  causation_id: string | null;
  metadata_json: string | null;
};

const LIVE = ["starting", "running", "stopping"];
/** What an installed agent's folder may hold, and nothing else. */
const PARTS = ["src", "repo.git", "tracked.json", "built.json", "tree-cache.json", "previous", "data", "build-home"];
/** The kernel ends a tree, and Core starts an agent again, in moments; nothing else is given time. */
const SETTLE_MS = 10_000;

/**
 * Every invariant that is broken, in words, once Core runs again (the first look starts it); no act may be under way. `repositories`: where each agent comes
 * from. `built`: files that a build may have added to a source.
 */
export async function brokenAfterCrash(
  home: CoreHome,
  repositories: ReadonlyMap<string, GitRepository>,
  built: readonly string[] = [],
): Promise<string[]> {
  const verified = await home.json<{ status: string }>(["audit", "verify"], { codes: [0, 1] });
  if (verified.status !== "intact") return [`audit verify: ${JSON.stringify(verified)}`];
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const broken = [
      ...brokenProcesses(home),
      ...(await brokenTrees(home, repositories, new Set(built))),
      ...leftovers(home),
      ...brokenRecords(home),
    ];
    if (broken.length === 0 || performance.now() > deadline) return broken;
    await delay(50);
  }
}

/** Nothing runs that is not recorded, and nothing is recorded that does not run. */
function brokenProcesses(home: CoreHome): string[] {
  const live = rows<RunRow>(home, "SELECT * FROM runs").filter((run) => LIVE.includes(run.status));
  const broken = live
    .filter((run) => run.pid === null || !isAlive({ pid: run.pid, startTime: run.pid_start_time ?? "" }))
    .map((run) => `${run.run_id} is recorded as ${run.status}, but does not run`);
  const known = new Set<number>();
  for (const run of live) {
    if (run.pid === null) continue;
    for (const member of membersOf({ run_id: run.run_id, pid: run.pid })) known.add(member.pid);
    // bubblewrap's two processes stand above the agent's first one.
    const init = readProcess(run.pid)?.ppid ?? 0;
    for (const pid of [init, readProcess(init)?.ppid ?? 0]) if (readProcess(pid)?.name === "bwrap") known.add(pid);
  }
  const cores = home.processes().filter(({ command }) => command.includes(" serve "));
  if (cores.length !== 1) broken.push(`${cores.length} Cores run: ${JSON.stringify(cores)}`);
  for (const process of home.processes()) {
    const isZombie = readProcess(process.pid)?.state === "Z" || readProcess(process.pid) === undefined;
    if (!isZombie && !known.has(process.pid) && !cores.some((core) => core.pid === process.pid))
      broken.push(`a process runs that is not recorded: ${process.pid} ${process.command}`);
  }
  return broken;
}

/** A source is exactly one whole commit, the recorded one; there is none where nothing is installed. */
async function brokenTrees(
  home: CoreHome,
  repositories: ReadonlyMap<string, GitRepository>,
  built: ReadonlySet<string>,
): Promise<string[]> {
  const broken: string[] = [];
  for (const agent of rows<AgentRow>(home, "SELECT * FROM agents")) {
    const id = agent.agent_id;
    const root = join(home.folder, "agents", id);
    const repository = repositories.get(id);
    if (repository === undefined) continue;
    const inRoot = namesIn(root);
    const allowed = agent.install_path === null ? ["data"] : PARTS;
    for (const name of inRoot) if (!allowed.includes(name)) broken.push(`${id}: ${name} is left in its folder`);
    if (agent.install_path === null) continue;
    for (const part of PARTS.slice(0, 3)) if (!inRoot.includes(part)) broken.push(`${id}: ${part} is missing`);
    const source = join(root, "src");
    broken.push(
      ...(await differences(repository, agent.source_commit ?? "", source, built)).map((one) => `${id}: ${one}`),
    );
    const previous = namesIn(join(root, "previous"));
    if (previous.length === 0) continue;
    const state = previous.includes("installed.json")
      ? readFileSync(join(root, "previous/installed.json"), "utf8")
      : "{}";
    const { commit = "" } = JSON.parse(state) as { commit?: string };
    const kept = await differences(repository, commit, join(root, "previous/src"), built);
    broken.push(...kept.map((one) => `${id}: previous: ${one}`));
  }
  return broken;
}

/** Compared with git itself, blob by blob. */
async function differences(
  repository: GitRepository,
  commit: string,
  folder: string,
  built: ReadonlySet<string>,
): Promise<string[]> {
  if (!existsSync(folder)) return [`${folder} is missing`];
  const expected = await blobsOf(repository, commit);
  if (expected === undefined) return [`no commit ${commit}`];
  const found = filesBelow(folder).filter((path) => !built.has(path));
  const broken = found.filter((path) => !expected.has(path)).map((path) => `${path} is not of ${commit}`);
  for (const [path, blob] of expected)
    if (!found.includes(path) || blobOf(join(folder, path)) !== blob) broken.push(`${path} is not that of ${commit}`);
  return broken;
}

const knownBlobs = new Map<string, Map<string, string>>();

async function blobsOf(repository: GitRepository, commit: string): Promise<Map<string, string> | undefined> {
  const known = knownBlobs.get(commit);
  if (known !== undefined || commit === "") return known;
  const listed = await repository.git("ls-tree", "-r", commit);
  const blobs = new Map(
    listed.split("\n").map((line) => [line.slice(line.indexOf("\t") + 1), line.split(/\s/)[2] ?? ""] as const),
  );
  knownBlobs.set(commit, blobs);
  return blobs;
}

function blobOf(path: string): string {
  const bytes = readFileSync(path);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** Files that only stand for a moment, and folders of what is over. */
function leftovers(home: CoreHome): string[] {
  const broken: string[] = [];
  const live = rows<RunRow>(home, "SELECT * FROM runs").filter((run) => LIVE.includes(run.status));
  const folders = new Set(live.map((run) => shortId(run.run_id)));
  for (const name of namesIn(join(home.folder, "run/agents")))
    if (!folders.has(name)) broken.push(`run/agents/${name} belongs to no run`);
  for (const name of namesIn(join(home.folder, "agents/.staging"))) broken.push(`staging holds ${name}`);
  const own = /^(state|run|logs|agents\/[^/]+\/(previous\/)?[^/]+$)/;
  for (const path of filesBelow(home.folder, (name) => ["src", "repo.git", "data", "build-home"].includes(name)))
    if (own.test(path) && /\.tmp$|\.copying$|\.restored|pipe-|installing\.json/.test(path))
      broken.push(`${path} is left`);
  return broken;
}

/** No act without its event: what began was ended, each run once, and nothing is approved that is not there. */
function brokenRecords(home: CoreHome): string[] {
  const events = rows<EventRow>(home, "SELECT * FROM audit_events ORDER BY seq");
  const causes = new Set(events.map((event) => event.causation_id));
  const broken = events
    .filter((event) => event.outcome === "unknown" && !causes.has(event.event_id) && !isLive(home, event.subject_id))
    .filter((event) => !events.some((later) => isRefusalOf(event, later)))
    .map((event) => `${event.seq} ${event.event_type} of ${event.subject_id} has no outcome: ${event.metadata_json}`);
  for (const run of rows<RunRow>(home, "SELECT * FROM runs").filter((one) => !LIVE.includes(one.status))) {
    const ends = events.filter(
      (event) => event.subject_id === run.run_id && /"phase":"ended"/.test(event.metadata_json ?? ""),
    );
    if (ends.length !== 1) broken.push(`${run.run_id} has ${ends.length} ends`);
  }
  for (const agent of rows<AgentRow>(home, "SELECT * FROM agents WHERE build_status = 'building'"))
    broken.push(`${agent.agent_id} is recorded as building`);
  const orphans =
    "SELECT a.agent_id FROM permission_approvals p JOIN agents a USING (agent_id) WHERE p.status = 'active'";
  for (const agent of rows<AgentRow>(home, `${orphans} AND a.install_path IS NULL`))
    broken.push(`${agent.agent_id} is approved, but not installed`);
  return broken;
}

function isRefusalOf(request: EventRow, later: EventRow): boolean {
  if (request.event_type !== "agent.enable_requested" || later.seq < request.seq) return false;
  return later.event_type === "security.denied" && later.correlation_id === request.correlation_id;
}

function isLive(home: CoreHome, runId: string): boolean {
  return rows<RunRow>(home, "SELECT * FROM runs").some((run) => run.run_id === runId && LIVE.includes(run.status));
}

/** Rows of Core's database, as another program sees them. */
export function rows<T>(home: CoreHome, sql: string): T[] {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { readOnly: true });
  try {
    return database.prepare(sql).all() as T[];
  } finally {
    database.close();
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function filesBelow(root: string, isSkipped: (name: string) => boolean = () => false): string[] {
  const paths: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) {
        if (!isSkipped(entry.name)) walk(join(folder, entry.name));
      } else paths.push(relative(root, join(folder, entry.name)));
    }
  };
  walk(root);
  return paths;
}
