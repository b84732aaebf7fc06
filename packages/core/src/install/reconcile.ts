/** What an earlier Core left half done: swaps, removals, and intents that nothing followed. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { AuditEventJson } from "@opensentience/protocol";
import { SYSTEM_ACT, type Act, type AuditLog } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import { removeTemporaries } from "../host/private-file.ts";
import { hashTree, loadEntries } from "../tree/tree.ts";
import { DATA_INTENT } from "./leftovers.ts";
import { moveAllButData } from "./lifecycle.ts";
import { finishRestore } from "./restore.ts";
import { confirmSwap, guessJournal, interruptedSwap, refuseJournal, undoSwap, type Journal } from "./swap.ts";
import { removeTrash } from "../host/trash.ts";

type Deps = {
  audit: AuditLog;
  catalog: Catalog;
  folders: {
    agents: string;
    staging: string;
    agent: (agentId: string) => {
      root: string;
      source: string;
      data: string;
      repository: string;
      previous: string;
      trackedEntries: string;
    };
  };
  onFault: (what: string, error: unknown) => void;
};

/** So many install events of an agent are looked through for the one that a journal belongs to. */
const SEARCHED_EVENTS = 50;
/** A larger tree that cannot be judged by its bytes at the start is left to its operator. */
const MAX_TREE_BYTES = 1024 * 1024 * 1024;
const LOST = "Core ended during the install; the tree from before was put back";
const LOST_BEFORE_SWAP = "Core ended during the install; nothing was changed";

/**
 * Rolls back interrupted swaps, completes interrupted removals, closes open intents, empties the staging folder. One
 * agent that cannot be put right is written to Core's log and holds up nobody else. Returns how many were closed.
 */
export async function reconcileInstalls(deps: Deps): Promise<number> {
  const intents = new Intents(deps.audit);
  let closed = 0;
  for (const entry of await readdir(deps.folders.agents, { withFileTypes: true }).catch(() => [])) {
    const root = join(deps.folders.agents, entry.name);
    if (!entry.isDirectory() || root === deps.folders.staging) continue;
    try {
      for (const folder of [root, deps.folders.agent(entry.name).previous]) await removeTemporaries(folder);
      const undone = await putBack(deps, intents, entry.name, root);
      const intent = undone === "no" ? undefined : intents.take(entry.name, "agent.installed");
      if (intent !== undefined || undone === "by guess") {
        recordLost(deps.audit, entry.name, intent);
        closed += 1;
      }
      await finishRestoreOf(deps, entry.name);
    } catch (error) {
      deps.onFault(`what an interrupted install left of ${entry.name} could not be put back`, error);
    }
  }
  for (const agent of deps.catalog.all()) closed += await finishRemoval(deps, agent.agentId, intents);
  for (const intent of intents.rest()) {
    if (intent.event_type === "agent.installed") recordLost(deps.audit, intent.subject_id, intent);
    else recordNotRemoved(deps, intent);
    closed += 1;
  }
  await removeTrash(deps.folders.staging).catch((error: unknown) =>
    deps.onFault("the staging folder could not be emptied", error),
  );
  killPoint("reconcile.staging_emptied");
  return closed;
}

/** The events that say of an act only that it began. */
class Intents {
  readonly #open: AuditEventJson[];

  constructor(audit: AuditLog) {
    this.#open = audit.openIntents(["agent.installed", "agent.removed"]);
  }

  /** The newest of them about the agent; it is closed by the caller. */
  take(agentId: string, type: string): AuditEventJson | undefined {
    const index = this.#open.findLastIndex((event) => event.subject_id === agentId && event.event_type === type);
    return index === -1 ? undefined : this.#open.splice(index, 1)[0];
  }

  has(event: AuditEventJson): boolean {
    return this.#open.some((open) => open.event_id === event.event_id);
  }

  rest(): AuditEventJson[] {
    return this.#open;
  }
}

/** Whether a swap was undone (or found not to have begun), and whether by its journal or, where that is damaged, without it. */
async function putBack(
  deps: Deps,
  intents: Intents,
  agentId: string,
  root: string,
): Promise<"no" | "by journal" | "by guess"> {
  const journal = interruptedSwap(root);
  if (journal === undefined) return "no";
  const how = journal === "damaged" ? "by guess" : "by journal";
  const aside = newAside(deps);
  if (!(await isOurs(deps, intents, agentId, journal))) {
    await refuseJournal(root, aside);
    recordNoIntent(deps, agentId);
    return "no";
  }
  const isDone = journal === "damaged" ? await isWhole(deps, agentId) : wasRecorded(deps, agentId, journal);
  if (isDone) {
    await confirmSwap(root, aside);
    killPoint("reconcile.swap_confirmed");
    return how === "by guess" ? how : "no";
  }
  // There was a tree before exactly when the catalog knows of one.
  const guess = guessJournal(root, deps.catalog.find(agentId)?.treeHash != null);
  await undoSwap(root, aside, journal === "damaged" ? guess : undefined);
  killPoint("reconcile.swap_undone");
  return how;
}

/**
 * Whether the log knows of the swap: as recorded, or as begun and not recorded. One that failed is undone at once; only
 * where that failed, too, does its journal still count, and the tree is not the one that the database knows.
 * SECURITY: whatever can write beside an agent's source could have Core undo a swap that never was, and delete a healthy
 * agent in its own name; pinned by "a journal that no install wrote removes nothing, and is told".
 */
async function isOurs(deps: Deps, intents: Intents, agentId: string, journal: Journal | "damaged"): Promise<boolean> {
  if (journal !== "damaged" && wasRecorded(deps, agentId, journal)) return true;
  const events = deps.audit.list({ type: "agent.installed", agent: agentId }, { limit: SEARCHED_EVENTS }).items;
  const recorded = events.findIndex((event) => event.outcome === "ok");
  const begun = (recorded === -1 ? events : events.slice(0, recorded)).find(
    ({ outcome, metadata }) =>
      outcome === "unknown" && (journal === "damaged" || metadata?.["commit"] === journal.commit),
  );
  // Of half a journal nobody can say whose it is; a tree that is whole is left alone, one that is not can only be helped.
  const isKnown = deps.catalog.find(agentId)?.treeHash != null;
  if (begun === undefined) return journal === "damaged" && isKnown && !(await isAsInstalled(deps, agentId));
  return intents.has(begun) || !(await isAsInstalled(deps, agentId));
}

/** By its bytes. */
async function isAsInstalled({ catalog, folders }: Deps, agentId: string): Promise<boolean> {
  const { source } = folders.agent(agentId);
  const agent = catalog.find(agentId);
  if (agent === undefined || agent.treeHash === null || !existsSync(source)) return false;
  const { hash } = await hashTree(source, { maxBytes: MAX_TREE_BYTES });
  return hash === agent.treeHash || hash === agent.builtTreeHash;
}

async function finishRestoreOf(deps: Deps, agentId: string): Promise<void> {
  const { source } = deps.folders.agent(agentId);
  const isInstalled = deps.catalog.find(agentId)?.installPath === source;
  if (await finishRestore(source, isInstalled, newAside(deps))) killPoint("reconcile.source_in_place");
}

function newAside({ folders }: Deps): string {
  return join(folders.staging, randomBytes(8).toString("hex"));
}

/** The last install event of the agent says whether the database got to know of the swap. */
function wasRecorded({ catalog, audit }: Deps, agentId: string, journal: Journal): boolean {
  if (catalog.find(agentId)?.commit !== journal.commit) return false;
  const last = audit.list({ type: "agent.installed", agent: agentId }, { limit: 1 }).items[0];
  return last?.outcome === "ok" && last.metadata?.["commit"] === journal.commit;
}

/** Without the word of a journal: the tree that the database knows stands where it belongs. */
async function isWhole({ catalog, folders }: Deps, agentId: string): Promise<boolean> {
  const own = folders.agent(agentId);
  const entries = await loadEntries(own.trackedEntries, catalog.find(agentId)?.treeHash ?? null);
  return existsSync(own.source) && entries !== undefined;
}

/** A removal that was cut short left a row without its folder. A source alone that is missing comes back with a build. */
async function finishRemoval(deps: Deps, agentId: string, intents: Intents): Promise<number> {
  const { catalog, audit, folders } = deps;
  const own = folders.agent(agentId);
  const { root, source, repository } = own;
  if (catalog.find(agentId)?.installPath !== source || existsSync(source)) return 0;
  const intent = intents.take(agentId, "agent.removed");
  if (intent === undefined && (!existsSync(root) || existsSync(repository))) return 0;
  if (intent !== undefined) await moveAllButData(own, newAside(deps));
  killPoint("reconcile.removal_finished");
  audit.transact((tx, record) => {
    catalog.recordRemoval(tx, agentId);
    record({
      type: "agent.removed",
      act: following(intent),
      subject: { type: "agent", id: agentId },
      metadata: { path: source, phase: "its folder was gone at Core's start" },
    });
  });
  return 1;
}

function recordLost(audit: AuditLog, agentId: string, intent: AuditEventJson | undefined): void {
  audit.record({
    type: "agent.install_failed",
    act: following(intent),
    subject: { type: "agent", id: agentId },
    outcome: "failed",
    metadata: {
      git_url: intent?.metadata?.["git_url"],
      ref: intent?.metadata?.["ref"],
      code: "core_lost",
      message: intent?.metadata?.["phase"] === "requested" ? LOST_BEFORE_SWAP : LOST,
    },
  });
}

function recordNoIntent({ audit, onFault }: Deps, agentId: string): void {
  const message = "a journal of an install that the audit log does not know was taken away; nothing was undone";
  onFault(`${agentId}`, message);
  audit.record({
    type: "security.denied",
    act: SYSTEM_ACT,
    subject: { type: "agent", id: agentId },
    outcome: "denied",
    metadata: { code: "no_intent", message, act: "undo an install" },
  });
}

/** Data that was kept is moved away in one step, so its place says whether it was. */
function recordNotRemoved({ audit, folders }: Deps, intent: AuditEventJson): void {
  const isDone = intent.metadata?.["phase"] === DATA_INTENT && !existsSync(folders.agent(intent.subject_id).root);
  audit.record({
    type: "agent.removed",
    act: following(intent),
    subject: { type: "agent", id: intent.subject_id },
    outcome: isDone ? "ok" : "failed",
    metadata: { path: intent.metadata?.["path"], phase: isDone ? "data removed" : "not carried out" },
  });
}

function following(intent: AuditEventJson | undefined): Act {
  return intent === undefined
    ? SYSTEM_ACT
    : { ...SYSTEM_ACT, correlationId: intent.correlation_id, causationId: intent.event_id };
}
