/**
 * The catalog: Core's table of known agents, whether found by a scan, installed, or both.
 *
 * It owns the `agents` rows and the one derivation of an agent's status. It reads no files: discovery and install
 * hand it parsed manifests. Installed agents take their manifest from their installed source only; any other copy on
 * disk is `discovered_path` and can never cause a change of what runs. A vanished agent is kept and marked, never
 * deleted by a scan.
 *
 * Methods that change governed state take the caller's transaction, so that the change and its audit event commit
 * together; `observe` and `markVanished` make their own, one for a whole scan.
 */
import { CoreError, type AgentJson, type Manifest, type RestartPolicy } from "@opensentience/protocol";
import { notYetRecorded, type Act, type AuditLog, type Owed, type RecordEvent } from "../audit-log/audit-log.ts";
import type { Storage, Tx } from "../storage/storage.ts";
import * as store from "./store.ts";

export {
  isPinned,
  manifestRepairCommand,
  notInstalled,
  refuseRunning,
  reinstallCommand,
  repairCommand,
} from "./commands.ts";

/** The seed's Catalog.AgentRecord: one row of the catalog, parsed. */
export type AgentRecord = {
  agentId: string;
  name: string;
  version: string;
  description: string;
  keywords: string[];
  status: AgentJson["status"];
  manifest: Manifest;
  manifestPath: string | null;
  manifestHash: string | null;
  gitUrl: string | null;
  ref: string | null;
  commit: string | null;
  treeHash: string | null;
  builtTreeHash: string | null;
  installPath: string | null;
  discoveredPath: string | null;
  missingSince: string | null;
  buildStatus: AgentJson["build_status"];
  buildLastAt: string | null;
  buildCommit: string | null;
  lastError: string | null;
  /** null: the operator's default, `restart.policy`. */
  restartPolicy: RestartPolicy | null;
};

export type Sighting = { folder: string; path: string; manifest: Manifest; manifestHash: string };

/** What an install put in place; a folder that is run in place has no commit and no tree hash (it is not pinned). */
export type SourceState = { gitUrl: string | null; ref: string | null; commit: string | null; treeHash: string | null };

export class Catalog {
  readonly #storage: Storage;
  readonly #audit: AuditLog;
  readonly #claims = new Set<string>();
  /** Of an act that holds the agent: until then it is not over. */
  readonly #owed = new Map<string, Owed>();
  readonly #waitingForIdle: (() => void)[] = [];
  readonly #listeners = new Set<(agentIds: readonly string[]) => void>();

  constructor(deps: { storage: Storage; audit: AuditLog }) {
    this.#storage = deps.storage;
    this.#audit = deps.audit;
  }

  find(agentId: string): AgentRecord | undefined {
    const row = store.agentById(this.#storage, agentId);
    return row === undefined ? undefined : fromRow(row);
  }

  /** Throws `agent.not_found`. */
  get(agentId: string): AgentRecord {
    const agent = this.find(agentId);
    if (agent === undefined) {
      throw new CoreError("agent.not_found", "no agent with that id is known", {
        details: { agent_id: agentId.slice(0, 200) },
        nextStep: "opensentience agents list",
      });
    }
    return agent;
  }

  all(): AgentRecord[] {
    return store.allAgents(this.#storage).map(fromRow);
  }

  /** Where each of them lies, without their manifests, which may be large. */
  places(): store.AgentPlace[] {
    return store.allPlaces(this.#storage);
  }

  /**
   * Holds the agent for one act that changes its files or starts it; call the result to let go. Throws `install.busy`
   * at once when another act holds it, so nothing waits unseen.
   */
  claim(agentId: string): () => void {
    if (this.#claims.has(agentId)) {
      throw new CoreError("install.busy", "another act on this agent is under way; try again when it is done", {
        details: { agent_id: agentId.slice(0, 200) },
        nextStep: `opensentience agents info ${agentId.slice(0, 200)}`,
      });
    }
    this.#claims.add(agentId);
    return () => {
      const owed = this.#owed.get(agentId);
      if (owed === undefined) this.#unclaim(agentId);
      else void owed.then(() => this.#unclaim(agentId));
    };
  }

  #unclaim(agentId: string): void {
    this.#owed.delete(agentId);
    this.#claims.delete(agentId);
    if (this.#claims.size === 0) for (const resolve of this.#waitingForIdle.splice(0)) resolve();
  }

  /**
   * Records how an act ended whose intent is on record: now, or as soon as the log takes it; nobody else gets the agent
   * before that. The caller holds it, and is told whether the outcome is on record. `what`: for Core's log.
   */
  recordOutcome(agentId: string, what: string, write: () => void): boolean {
    const owed = this.#audit.owed.record(what, write);
    if (owed !== undefined && this.#claims.has(agentId)) this.#owed.set(agentId, owed);
    return owed === undefined;
  }

  /** The same of an act that failed by `error`; answers what to tell. */
  recordFailed(agentId: string, what: string, error: unknown, write: () => void): unknown {
    return this.recordOutcome(agentId, what, write) ? error : notYetRecorded(error);
  }

  /** Resolves when no act holds any agent. */
  whenUnclaimed(): Promise<void> {
    if (this.#claims.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForIdle.push(resolve));
  }

  count(): number {
    return store.countAgents(this.#storage);
  }

  /** In order of id; `q` searches id, name, description and keywords. The cursor is the last id of the page before. */
  list(query: { q?: string | undefined; status?: string | undefined; limit: number; cursor?: string | undefined }): {
    items: AgentRecord[];
    next: string | null;
  } {
    const after = query.cursor ?? "";
    const rows =
      query.q === undefined
        ? store.pageOfAgents(this.#storage, query.status, after, query.limit + 1)
        : store.searchAgents(this.#storage, query.q, query.status, after, query.limit + 1);
    const items = rows.slice(0, query.limit).map(fromRow);
    return { items, next: rows.length > query.limit ? (items.at(-1)?.agentId ?? null) : null };
  }

  /**
   * What a scan saw, all in one transaction: per id `kept` is the copy that counts, `other` another one worth showing.
   * Writes `agent.discovered` or `agent.updated`; an unchanged copy only moves its last-seen time.
   */
  observe(seen: { kept: Sighting; other: string | null }[], act: Act): ("new" | "updated" | "unchanged")[] {
    const at = new Date().toISOString();
    const judged = seen.map(({ kept, other }) => {
      const known = this.find(kept.manifest.id);
      return {
        kept,
        known,
        discoveredPath: known?.installPath === kept.folder ? other : kept.folder,
        outcome: judge(kept, known),
      };
    });
    const change = (tx: Tx, record: RecordEvent | undefined): void => {
      for (const { kept, known, discoveredPath, outcome } of judged) {
        if (outcome === "new")
          this.#insert(
            tx,
            kept,
            { gitUrl: kept.manifest.source.git_url, ref: kept.manifest.source.ref ?? null },
            discoveredPath,
          );
        if (outcome === "updated") store.updateManifest(this.#storage, tx, kept.manifest.id, manifestColumns(kept));
        store.touchSeen(this.#storage, tx, kept.manifest.id, discoveredPath, at);
        if (outcome === "unchanged") continue;
        record?.({
          type: outcome === "new" ? "agent.discovered" : "agent.updated",
          act,
          subject: { type: "agent", id: kept.manifest.id },
          metadata: {
            path: kept.path,
            version: kept.manifest.version,
            manifest_hash: kept.manifestHash,
            previous_manifest_hash: known?.manifestHash,
          },
        });
      }
    };
    const outcomes = judged.map(({ outcome }) => outcome);
    if (outcomes.every((outcome) => outcome === "unchanged")) this.#audit.bookkeep((tx) => change(tx, undefined));
    else this.#audit.transact(change);
    const moved = judged.filter(
      ({ known, discoveredPath }) =>
        known !== undefined && (known.missingSince !== null || known.discoveredPath !== discoveredPath),
    );
    this.#tell(moved.map(({ kept }) => kept.manifest.id));
    return outcomes;
  }

  /** Called with the agents of which something changed that is no event: where they were seen, or that they were not. */
  onUnrecorded(listener: (agentIds: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(agentIds: readonly string[]): void {
    if (agentIds.length > 0) for (const listener of this.#listeners) listener(agentIds);
  }

  /** Of agents outside the scan roots, whose folder came back. */
  markPresent(agentIds: string[]): void {
    if (agentIds.length === 0) return;
    this.#audit.bookkeep((tx) => {
      for (const agentId of agentIds) store.markPresent(this.#storage, tx, agentId);
    });
    this.#tell(agentIds);
  }

  markVanished(agentIds: string[]): void {
    const at = new Date().toISOString();
    this.#audit.bookkeep((tx) => {
      for (const agentId of agentIds) store.markMissing(this.#storage, tx, agentId, at);
    });
    this.#tell(agentIds);
  }

  /** Makes or renews the row of a freshly installed agent, inside the install's transaction. */
  recordInstall(tx: Tx, sighting: Sighting, install: SourceState): void {
    const { id } = sighting.manifest;
    if (this.find(id) === undefined) this.#insert(tx, sighting, install, null);
    else store.updateManifest(this.#storage, tx, id, manifestColumns(sighting));
    store.setInstalled(this.#storage, tx, id, { ...install, installPath: sighting.folder });
    this.refresh(tx, id);
  }

  /** The installed commit stays; another branch or tag is followed from now on, or the commit alone. */
  recordRef(tx: Tx, agentId: string, ref: string | null): void {
    store.setRef(this.#storage, tx, agentId, ref);
  }

  /** Nothing is installed any more; what is known of the agent, its runs and its events stay. */
  recordRemoval(tx: Tx, agentId: string): void {
    store.setRemoved(this.#storage, tx, agentId, new Date().toISOString());
    this.refresh(tx, agentId);
  }

  /** The agent is not known any more, nor its runs and approvals. */
  forget(tx: Tx, agentId: string): void {
    store.deleteAgent(this.#storage, tx, agentId);
  }

  recordBuild(
    tx: Tx,
    agentId: string,
    build: {
      status: "building" | "built" | "failed";
      commit: string | null;
      builtTreeHash?: string;
      lastError?: string;
      /** When it was, if not now: a rollback brings back a build of before. */
      at?: string;
    },
  ): void {
    store.setBuild(this.#storage, tx, agentId, {
      status: build.status,
      at: build.at ?? new Date().toISOString(),
      commit: build.status === "built" ? build.commit : null,
      builtTreeHash: build.builtTreeHash ?? null,
      lastError: build.lastError ?? null,
    });
    this.refresh(tx, agentId);
  }

  setLastError(tx: Tx, agentId: string, lastError: string | null): void {
    store.setLastError(this.#storage, tx, agentId, lastError);
  }

  setRestartPolicy(tx: Tx, agentId: string, policy: RestartPolicy): void {
    store.setRestartPolicy(this.#storage, tx, agentId, policy);
  }

  /** Derives the status again; to be called in every transaction that touches approvals, builds or runs. */
  refresh(tx: Tx, agentId: string): void {
    store.deriveStatus(this.#storage, tx, agentId);
  }

  #insert(
    tx: Tx,
    sighting: Sighting,
    source: { gitUrl: string | null; ref: string | null },
    discoveredPath: string | null,
  ): void {
    store.insertAgent(
      this.#storage,
      tx,
      {
        agent_id: sighting.manifest.id,
        source_git_url: source.gitUrl,
        source_ref: source.ref,
        discovered_path: discoveredPath,
        ...manifestColumns(sighting),
      },
      new Date().toISOString(),
    );
  }
}

/** Another copy of an installed agent never changes what the catalog says about the installed one. */
function judge(kept: Sighting, known: AgentRecord | undefined): "new" | "updated" | "unchanged" {
  if (known === undefined) return "new";
  if (known.installPath !== null && known.installPath !== kept.folder) return "unchanged";
  return known.manifestHash === kept.manifestHash && known.manifestPath === kept.path ? "unchanged" : "updated";
}

function manifestColumns(
  sighting: Sighting,
): Pick<
  store.AgentRow,
  "name" | "version" | "description" | "keywords_json" | "manifest_path" | "manifest_hash" | "manifest_json"
> {
  const { manifest } = sighting;
  return {
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    keywords_json: JSON.stringify(manifest.keywords ?? []),
    manifest_path: sighting.path,
    manifest_hash: sighting.manifestHash,
    manifest_json: JSON.stringify(manifest),
  };
}

function fromRow(row: store.AgentRow): AgentRecord {
  return {
    agentId: row.agent_id,
    name: row.name,
    version: row.version,
    description: row.description,
    keywords: JSON.parse(row.keywords_json) as string[],
    status: row.status as AgentJson["status"],
    manifest: JSON.parse(row.manifest_json) as Manifest,
    manifestPath: row.manifest_path,
    manifestHash: row.manifest_hash,
    gitUrl: row.source_git_url,
    ref: row.source_ref,
    commit: row.source_commit,
    treeHash: row.tree_hash,
    builtTreeHash: row.built_tree_hash,
    installPath: row.install_path,
    discoveredPath: row.discovered_path,
    missingSince: row.missing_since,
    buildStatus: row.build_status as AgentJson["build_status"],
    buildLastAt: row.build_last_at,
    buildCommit: row.build_commit,
    lastError: row.last_error,
    restartPolicy:
      row.restart_json === null ? null : (JSON.parse(row.restart_json) as { policy: RestartPolicy }).policy,
  };
}
