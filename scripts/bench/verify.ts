/** Verifying a long audit log: the command, over a program that only reads the same rows in the same pages. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuditLog, Checkpoints, Redactor } from "../../packages/core/src/audit-log/audit-log.ts";
import { JournalFile } from "../../packages/core/src/host/journal-file.ts";
import { Storage } from "../../packages/core/src/storage/storage.ts";
import { type BenchHome, benchHome, OPENSENTIENCE, output, PINNED_NODE } from "./bench-home.ts";
import { type Figure, median, ratioOf, sideBySide, timed } from "./figure.ts";

const EVENTS = 1_000_000;
const EVENTS_PER_TRANSACTION = 1_000;

/** Every row, all its columns as arrays (the faster way), 500 at a time as Core takes them. */
const READER = `
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(process.argv[2], { readOnly: true });
const page = database.prepare("SELECT seq, event_id, at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash FROM audit_events WHERE seq > ? ORDER BY seq LIMIT 500");
page.setReturnArrays(true);
let count = 0;
for (let rows; (rows = page.all(count)).length > 0; ) count += rows.length;
process.stdout.write(String(count));
`;

export const figure: Figure = {
  name: "verify",
  subject: "`opensentience audit verify` of 1 000 000 events.",
  floor: "reading every row of them",
  target: 1.8,
  async measure(rounds) {
    const home = benchHome();
    try {
      await fill(home);
      const reader = join(home.root, "reader.cjs");
      writeFileSync(reader, READER);
      await home.cli("core", "start");
      const start = (...argv: string[]): Promise<string> => output(argv, home.env, home.root);
      const read = async (): Promise<void> => {
        const count = await start(PINNED_NODE, reader, join(home.folder, "state/core.sqlite3"));
        if (Number(count) < EVENTS) throw new Error(`only ${count} rows were read`);
      };
      const verify = async (): Promise<void> => {
        const found = JSON.parse(await start(OPENSENTIENCE, "audit", "verify", "--json")) as Record<string, unknown>;
        if (found["status"] !== "intact" || Number(found["events"]) < EVENTS) throw new Error(JSON.stringify(found));
      };
      const pair = await sideBySide(
        rounds,
        () => timed(read),
        () => timed(verify),
      );
      return ratioOf(pair, "ms", [await besides(home, verify)]);
    } finally {
      await home.dispose();
    }
  },
};

/** By the product's own audit code: only that knows what fits. */
async function fill(home: BenchHome): Promise<void> {
  const state = join(home.folder, "state");
  mkdirSync(state, { mode: 0o700 });
  const storage = Storage.open(join(state, "core.sqlite3"));
  const audit = new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(state, "audit.key"), join(state, "audit.checkpoints")),
    journal: new JournalFile(join(state, "audit.journal")),
    observer: "core_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f",
    checkpointEvents: EVENTS / 10,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: (error) => {
      throw error;
    },
  });
  const act = {
    actor: { type: "human" as const, id: "uid:1000(ada)" },
    correlationId: "cor_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f",
  };
  for (let done = 0; done < EVENTS; done += EVENTS_PER_TRANSACTION) {
    audit.transact((_tx, record) => {
      for (let number = done; number < done + EVENTS_PER_TRANSACTION; number += 1) {
        record({
          type: "agent.run_started",
          act,
          subject: { type: "agent", id: `com.example.agent${number % 20}` },
          metadata: {
            pid: number,
            commit: "0123456789abcdef0123456789abcdef01234567",
            restart_count: 0,
            phase: "start",
          },
        });
      }
    });
  }
  await audit.close();
  storage.close();
}

/** Core answers others while it verifies: how long they wait. */
async function besides(home: BenchHome, verify: () => Promise<void>): Promise<string> {
  let isDone = false;
  const verifying = verify().finally(() => (isDone = true));
  const waits: number[] = [];
  while (!isDone) waits.push(await timed(() => home.cli("agents", "list", "--json")));
  await verifying;
  const alone = await timed(() => home.cli("agents", "list", "--json"));
  return `Of ${waits.length} lists asked for meanwhile the median took ${median(waits).toFixed(0)} ms, the longest ${Math.max(...waits).toFixed(0)} ms (alone ${alone.toFixed(0)} ms).`;
}
