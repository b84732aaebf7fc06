-- Catalog, approvals, runs and the audit log. Enumerations are CHECK constraints; times are RFC 3339 UTC texts.

CREATE TABLE agents (
  agent_id        TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  version         TEXT NOT NULL,
  description     TEXT NOT NULL,
  keywords_json   TEXT NOT NULL DEFAULT '[]',
  source_git_url  TEXT,
  source_ref      TEXT,
  source_commit   TEXT,
  tree_hash       TEXT,                       -- of the installed tree, before any build
  built_tree_hash TEXT,                       -- of the same folder after the build
  manifest_path   TEXT,
  manifest_hash   TEXT,
  manifest_json   TEXT NOT NULL,
  discovered_at   TEXT NOT NULL,
  last_seen_at    TEXT NOT NULL,
  discovered_path TEXT,                       -- another copy found by a scan, or the only one while not installed
  missing_since   TEXT,
  status          TEXT NOT NULL CHECK (status IN ('local_dev','local_uninstalled','installed','enabled','running','stopped','error')),
  install_path    TEXT,
  build_status    TEXT CHECK (build_status IN ('not_built','building','built','failed')),
  build_last_at   TEXT,
  build_commit    TEXT,
  last_error      TEXT,
  restart_json    TEXT                        -- {"policy": …}; NULL: the setting restart.policy
) STRICT;
CREATE INDEX agents_by_status ON agents (status, agent_id);

CREATE VIRTUAL TABLE agents_fts USING fts5 (agent_id, name, description, keywords_json, content='agents', tokenize='unicode61');
CREATE TRIGGER agents_fts_insert AFTER INSERT ON agents BEGIN
  INSERT INTO agents_fts (rowid, agent_id, name, description, keywords_json) VALUES (new.rowid, new.agent_id, new.name, new.description, new.keywords_json);
END;
CREATE TRIGGER agents_fts_update AFTER UPDATE OF name, description, keywords_json ON agents BEGIN
  INSERT INTO agents_fts (agents_fts, rowid, agent_id, name, description, keywords_json) VALUES ('delete', old.rowid, old.agent_id, old.name, old.description, old.keywords_json);
  INSERT INTO agents_fts (rowid, agent_id, name, description, keywords_json) VALUES (new.rowid, new.agent_id, new.name, new.description, new.keywords_json);
END;
CREATE TRIGGER agents_fts_delete AFTER DELETE ON agents BEGIN
  INSERT INTO agents_fts (agents_fts, rowid, agent_id, name, description, keywords_json) VALUES ('delete', old.rowid, old.agent_id, old.name, old.description, old.keywords_json);
END;

CREATE TABLE permission_approvals (
  id                         TEXT PRIMARY KEY,
  agent_id                   TEXT NOT NULL REFERENCES agents (agent_id),
  approved_permissions_json  TEXT NOT NULL,
  approved_at                TEXT NOT NULL,
  approved_by                TEXT NOT NULL,
  requested_permissions_hash TEXT NOT NULL,
  manifest_hash              TEXT NOT NULL,
  manifest_json              TEXT NOT NULL,   -- what was approved, so that a drift can be shown as a diff
  entrypoint_json            TEXT NOT NULL,
  source_ref                 TEXT,
  source_commit              TEXT,
  unsandboxed                INTEGER NOT NULL DEFAULT 0 CHECK (unsandboxed IN (0, 1)),
  expires_at                 TEXT,
  status                     TEXT NOT NULL CHECK (status IN ('active','revoked','superseded','expired')),
  revoked_at                 TEXT,
  revoked_by                 TEXT
) STRICT;
-- One active approval per agent, held by the database itself.
CREATE UNIQUE INDEX approvals_one_active ON permission_approvals (agent_id) WHERE status = 'active';
CREATE INDEX approvals_by_agent ON permission_approvals (agent_id, id);

CREATE TABLE runs (
  run_id            TEXT PRIMARY KEY,
  agent_id          TEXT NOT NULL REFERENCES agents (agent_id),
  started_at        TEXT NOT NULL,
  stop_requested_at TEXT,
  stopped_at        TEXT,
  status            TEXT NOT NULL CHECK (status IN ('starting','running','stopping','stopped','crashed')),
  pid               INTEGER,
  pid_start_time    TEXT,                     -- field 22 of /proc/<pid>/stat, against reuse of the pid
  boot_id           TEXT,
  exit_code         INTEGER,
  signal            TEXT,
  reason            TEXT,
  manifest_hash     TEXT NOT NULL,
  approval_id       TEXT NOT NULL REFERENCES permission_approvals (id),
  sandbox_json      TEXT NOT NULL,
  log_path          TEXT,
  restart_count     INTEGER NOT NULL DEFAULT 0,
  last_heartbeat_at TEXT,
  session_id        TEXT
) STRICT;
-- One live run per agent, held by the database itself: two racing requests give one run.
CREATE UNIQUE INDEX runs_one_live ON runs (agent_id) WHERE status IN ('starting','running','stopping');
CREATE INDEX runs_by_agent ON runs (agent_id, run_id);

CREATE TABLE audit_events (
  seq            INTEGER PRIMARY KEY,
  event_id       TEXT NOT NULL UNIQUE,
  at             TEXT NOT NULL,
  event_type     TEXT NOT NULL,
  severity       TEXT NOT NULL CHECK (severity IN ('info','warn','error','security')),
  outcome        TEXT NOT NULL CHECK (outcome IN ('ok','denied','failed','unknown')),
  observer       TEXT NOT NULL,               -- the Core instance that wrote the row
  actor_type     TEXT NOT NULL CHECK (actor_type IN ('human','system','agent')),
  actor_id       TEXT NOT NULL,
  subject_type   TEXT NOT NULL,
  subject_id     TEXT NOT NULL,
  correlation_id TEXT,
  causation_id   TEXT,
  metadata_json  TEXT,                        -- NULL only after audit.erased
  meta_salt      TEXT,
  meta_digest    TEXT NOT NULL,
  prev_hash      TEXT NOT NULL,
  row_hash       TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit_events (subject_type, subject_id, seq);

-- SECURITY: append only, dense from 1. A program with the file open can drop these; the hash chain and the signed
-- checkpoints then show it. Pinned by "refuses to change, delete or replace an audit row".
CREATE TRIGGER audit_dense BEFORE INSERT ON audit_events
WHEN new.seq <> COALESCE((SELECT MAX(seq) FROM audit_events), 0) + 1
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only and dense'); END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;

-- The only update: metadata and salt to NULL, for a row that an earlier tombstone names.
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit_events
WHEN NOT (
  new.metadata_json IS NULL AND new.meta_salt IS NULL
  AND new.seq IS old.seq AND new.event_id IS old.event_id AND new.at IS old.at AND new.event_type IS old.event_type
  AND new.severity IS old.severity AND new.outcome IS old.outcome AND new.observer IS old.observer
  AND new.actor_type IS old.actor_type AND new.actor_id IS old.actor_id
  AND new.subject_type IS old.subject_type AND new.subject_id IS old.subject_id
  AND new.correlation_id IS old.correlation_id AND new.causation_id IS old.causation_id
  AND new.meta_digest IS old.meta_digest AND new.prev_hash IS old.prev_hash AND new.row_hash IS old.row_hash
  AND EXISTS (SELECT 1 FROM audit_events t WHERE t.event_type = 'audit.erased' AND t.subject_type = 'audit_event' AND t.subject_id = CAST(old.seq AS TEXT) AND t.seq > old.seq)
)
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;

-- The newest signed checkpoint, so that a file of checkpoints that was removed or shortened shows. Not secret.
CREATE TABLE audit_checkpoint (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  size      INTEGER NOT NULL,
  row_hash  TEXT NOT NULL,                    -- of event <size>
  note_hash TEXT NOT NULL                     -- SHA-256 of the signed note
) STRICT;
