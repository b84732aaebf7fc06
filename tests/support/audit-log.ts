/** An audit log without a Core: its files in a folder, its table where the caller wants it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "../../packages/core/src/audit-log/audit-log.ts";
import { JournalFile } from "../../packages/core/src/host/journal-file.ts";
import { Storage } from "../../packages/core/src/storage/storage.ts";

/** `onTornNote`: as for `Checkpoints.open`. */
export async function auditLogIn(
  folder: string,
  storage: Storage,
  onTornNote: (bytes: number) => void = () => {},
): Promise<AuditLog> {
  return new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints"), onTornNote),
    journal: new JournalFile(join(folder, "audit.journal")),
    observer: "core_test",
    checkpointEvents: 1_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: (error) => {
      throw error;
    },
  });
}

export type OpenLog = { folder: string; storage: Storage; audit: AuditLog };

/** Ten events in a folder of their own; the table in memory, or in that file of the folder. */
export async function logOfTen(
  options: { file?: string; onTornNote?: (bytes: number) => void } = {},
): Promise<OpenLog> {
  const folder = mkdtempSync(join(tmpdir(), "os-audit-log-"));
  const storage = Storage.open(options.file === undefined ? ":memory:" : join(folder, options.file));
  const audit = await auditLogIn(folder, storage, options.onTornNote);
  await tenEvents(audit);
  return { folder, storage, audit };
}

export async function disposeLog({ folder, storage, audit }: OpenLog): Promise<void> {
  await audit.close();
  storage.close();
  rmSync(folder, { recursive: true, force: true });
}

/** With a checkpoint of the first 3 and one of the first 7. */
async function tenEvents(audit: AuditLog): Promise<void> {
  for (let seq = 1; seq <= 10; seq += 1) {
    audit.record({
      type: "core.started",
      act: SYSTEM_ACT,
      subject: { type: "core", id: `c${seq}` },
      metadata: { version: `v${seq}` },
    });
    if (seq === 3 || seq === 7) await audit.checkpoint();
  }
}
