-- The rules of an audit row as comparisons: for each IN list of three words SQLite fills a table of its own with every
-- insert, which took half of an insert's time. Rows and their hashes stay as they are.

CREATE TABLE audit_events_new (
  seq            INTEGER PRIMARY KEY,
  event_id       TEXT NOT NULL UNIQUE,
  at             TEXT NOT NULL,
  event_type     TEXT NOT NULL,
  severity       TEXT NOT NULL CHECK (severity = 'info' OR severity = 'warn' OR severity = 'error' OR severity = 'security'),
  outcome        TEXT NOT NULL CHECK (outcome = 'ok' OR outcome = 'denied' OR outcome = 'failed' OR outcome = 'unknown'),
  observer       TEXT NOT NULL,               -- the Core instance that wrote the row
  actor_type     TEXT NOT NULL CHECK (actor_type = 'human' OR actor_type = 'system' OR actor_type = 'agent'),
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

INSERT INTO audit_events_new SELECT * FROM audit_events ORDER BY seq;
DROP TABLE audit_events;
ALTER TABLE audit_events_new RENAME TO audit_events;
CREATE INDEX audit_by_subject ON audit_events (subject_type, subject_id, seq);
-- What an agent did itself. Few rows: those of operators and of Core are not in it.
CREATE INDEX audit_by_agent ON audit_events (actor_id, seq) WHERE actor_type = 'agent';

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
