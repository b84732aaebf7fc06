/** SQL of the catalog. Every write asks for the transaction it belongs to. */
import { ftsQuery, type Storage, type Tx } from "../storage/storage.ts";

export type AgentRow = {
  agent_id: string;
  name: string;
  version: string;
  description: string;
  keywords_json: string;
  source_git_url: string | null;
  source_ref: string | null;
  source_commit: string | null;
  tree_hash: string | null;
  built_tree_hash: string | null;
  manifest_path: string | null;
  manifest_hash: string | null;
  manifest_json: string;
  discovered_at: string;
  last_seen_at: string;
  discovered_path: string | null;
  missing_since: string | null;
  status: string;
  install_path: string | null;
  build_status: string | null;
  build_last_at: string | null;
  build_commit: string | null;
  last_error: string | null;
  restart_json: string | null;
};

export function agentById(storage: Storage, agentId: string): AgentRow | undefined {
  return storage.get("SELECT * FROM agents WHERE agent_id = ?", agentId);
}

export function allAgents(storage: Storage): AgentRow[] {
  return storage.all("SELECT * FROM agents ORDER BY agent_id");
}

export type AgentPlace = { agentId: string; manifestPath: string | null; missingSince: string | null };

export function allPlaces(storage: Storage): AgentPlace[] {
  return storage.all(
    'SELECT agent_id AS "agentId", manifest_path AS "manifestPath", missing_since AS "missingSince" FROM agents',
  );
}

export function countAgents(storage: Storage): number {
  return storage.get<{ n: number }>("SELECT COUNT(*) AS n FROM agents")?.n ?? 0;
}

export function pageOfAgents(storage: Storage, status: string | undefined, afterId: string, limit: number): AgentRow[] {
  return status === undefined
    ? storage.all("SELECT * FROM agents WHERE agent_id > ? ORDER BY agent_id LIMIT ?", afterId, limit)
    : storage.all(
        "SELECT * FROM agents WHERE status = ? AND agent_id > ? ORDER BY agent_id LIMIT ?",
        status,
        afterId,
        limit,
      );
}

/** Full text over id, name, description and keywords; in order of id, so that paging by key stays exact. */
export function searchAgents(
  storage: Storage,
  words: string,
  status: string | undefined,
  afterId: string,
  limit: number,
): AgentRow[] {
  const query = ftsQuery(words);
  if (query === "") return [];
  return storage.all(
    `SELECT a.* FROM agents_fts f JOIN agents a ON a.rowid = f.rowid
     WHERE agents_fts MATCH ? AND (? IS NULL OR a.status = ?) AND a.agent_id > ? ORDER BY a.agent_id LIMIT ?`,
    query,
    status ?? null,
    status ?? null,
    afterId,
    limit,
  );
}

type ManifestColumns = Pick<
  AgentRow,
  "name" | "version" | "description" | "keywords_json" | "manifest_path" | "manifest_hash" | "manifest_json"
>;

export function insertAgent(
  storage: Storage,
  tx: Tx,
  agent: ManifestColumns & Pick<AgentRow, "agent_id" | "source_git_url" | "source_ref" | "discovered_path">,
  at: string,
): void {
  storage.run(
    tx,
    `INSERT INTO agents (agent_id, name, version, description, keywords_json, source_git_url, source_ref, manifest_path, manifest_hash, manifest_json, discovered_path, discovered_at, last_seen_at, status)
     VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?, 'local_uninstalled')`,
    agent.agent_id,
    agent.name,
    agent.version,
    agent.description,
    agent.keywords_json,
    agent.source_git_url,
    agent.source_ref,
    agent.manifest_path,
    agent.manifest_hash,
    agent.manifest_json,
    agent.discovered_path,
    at,
    at,
  );
}

export function updateManifest(storage: Storage, tx: Tx, agentId: string, manifest: ManifestColumns): void {
  storage.run(
    tx,
    "UPDATE agents SET name = ?, version = ?, description = ?, keywords_json = ?, manifest_path = ?, manifest_hash = ?, manifest_json = ? WHERE agent_id = ?",
    manifest.name,
    manifest.version,
    manifest.description,
    manifest.keywords_json,
    manifest.manifest_path,
    manifest.manifest_hash,
    manifest.manifest_json,
    agentId,
  );
}

/** Governs nothing: when and where a copy was last seen. */
export function touchSeen(storage: Storage, tx: Tx, agentId: string, discoveredPath: string | null, at: string): void {
  storage.run(
    tx,
    "UPDATE agents SET last_seen_at = ?, missing_since = NULL, discovered_path = ? WHERE agent_id = ?",
    at,
    discoveredPath,
    agentId,
  );
}

export function markMissing(storage: Storage, tx: Tx, agentId: string, at: string): void {
  storage.run(tx, "UPDATE agents SET missing_since = COALESCE(missing_since, ?) WHERE agent_id = ?", at, agentId);
}

export function setInstalled(
  storage: Storage,
  tx: Tx,
  agentId: string,
  install: {
    gitUrl: string | null;
    ref: string | null;
    commit: string | null;
    treeHash: string | null;
    installPath: string;
  },
): void {
  storage.run(
    tx,
    `UPDATE agents SET source_git_url = ?, source_ref = ?, source_commit = ?, tree_hash = ?, install_path = ?, built_tree_hash = NULL,
       build_status = 'not_built', build_commit = NULL, last_error = NULL, missing_since = NULL WHERE agent_id = ?`,
    install.gitUrl,
    install.ref,
    install.commit,
    install.treeHash,
    install.installPath,
    agentId,
  );
}

export function setRef(storage: Storage, tx: Tx, agentId: string, ref: string | null): void {
  storage.run(tx, "UPDATE agents SET source_ref = ? WHERE agent_id = ?", ref, agentId);
}

/** What was said to be missing is there again. */
export function markPresent(storage: Storage, tx: Tx, agentId: string): void {
  storage.run(tx, "UPDATE agents SET missing_since = NULL WHERE agent_id = ?", agentId);
}

/**
 * A folder that was run in place (it has no commit) keeps no repository: it comes back as a folder, not from git. An
 * installed source is gone from now on, unless another copy was seen.
 */
export function setRemoved(storage: Storage, tx: Tx, agentId: string, at: string): void {
  storage.run(
    tx,
    `UPDATE agents SET missing_since = CASE WHEN source_commit IS NULL OR discovered_path IS NOT NULL THEN missing_since ELSE ? END,
       source_git_url = CASE WHEN source_commit IS NULL THEN NULL ELSE source_git_url END,
       install_path = NULL, source_commit = NULL, tree_hash = NULL, built_tree_hash = NULL, build_status = NULL,
       build_commit = NULL, build_last_at = NULL, last_error = NULL, restart_json = NULL WHERE agent_id = ?`,
    at,
    agentId,
  );
}

/** With the rows that refer to it. */
export function deleteAgent(storage: Storage, tx: Tx, agentId: string): void {
  storage.run(tx, "DELETE FROM runs WHERE agent_id = ?", agentId);
  storage.run(tx, "DELETE FROM permission_approvals WHERE agent_id = ?", agentId);
  storage.run(tx, "DELETE FROM agents WHERE agent_id = ?", agentId);
}

export function setBuild(
  storage: Storage,
  tx: Tx,
  agentId: string,
  build: { status: string; at: string; commit: string | null; builtTreeHash: string | null; lastError: string | null },
): void {
  storage.run(
    tx,
    "UPDATE agents SET build_status = ?, build_last_at = ?, build_commit = ?, built_tree_hash = ?, last_error = ? WHERE agent_id = ?",
    build.status,
    build.at,
    build.commit,
    build.builtTreeHash,
    build.lastError,
    agentId,
  );
}

export function setLastError(storage: Storage, tx: Tx, agentId: string, lastError: string | null): void {
  storage.run(tx, "UPDATE agents SET last_error = ? WHERE agent_id = ?", lastError, agentId);
}

export function setRestartPolicy(storage: Storage, tx: Tx, agentId: string, policy: string): void {
  storage.run(tx, "UPDATE agents SET restart_json = ? WHERE agent_id = ?", JSON.stringify({ policy }), agentId);
}

/**
 * Status is derived from facts, never set by hand: running > error > stopped > enabled > installed > local.
 * An error is the newest run having crashed at the commit that is installed, or the newest build having failed; a later success clears it.
 */
export function deriveStatus(storage: Storage, tx: Tx, agentId: string): void {
  storage.run(
    tx,
    `UPDATE agents SET status = CASE
       WHEN EXISTS (SELECT 1 FROM runs r WHERE r.agent_id = agents.agent_id AND r.status IN ('starting','running','stopping')) THEN 'running'
       WHEN build_status = 'failed' THEN 'error'
       WHEN (SELECT r.status = 'crashed' AND p.source_commit IS agents.source_commit AND (build_last_at IS NULL OR build_last_at <= r.started_at)
             FROM runs r JOIN permission_approvals p ON p.id = r.approval_id
             WHERE r.agent_id = agents.agent_id ORDER BY r.run_id DESC LIMIT 1) THEN 'error'
       WHEN EXISTS (SELECT 1 FROM permission_approvals p WHERE p.agent_id = agents.agent_id AND p.status = 'active') THEN
         CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.agent_id = agents.agent_id) THEN 'stopped' ELSE 'enabled' END
       WHEN install_path IS NOT NULL THEN CASE WHEN source_commit IS NULL THEN 'local_dev' ELSE 'installed' END
       ELSE 'local_uninstalled' END
     WHERE agent_id = ?`,
    agentId,
  );
}
