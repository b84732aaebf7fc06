/** Recomputes the whole chain and holds it against the checkpoints and the head that the running Core knows. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { VerifyJson } from "@opensentience/protocol";
import type { Storage } from "../storage/storage.ts";
import { digestMetadata, GENESIS, hashRow, type AuditRow } from "./chain.ts";
import type { Checkpoint } from "./checkpoints.ts";
import { erasedSeqs, rowsAfter } from "./store.ts";

/** Rows per turn of the event loop: other requests are answered in between. */
const BATCH = 2_000;

export type Head = { seq: number; hash: string };

/**
 * `first_bad_seq` is the first row that is not what was written; for a cut under a running Core, the first row that is
 * gone. A cut that Core found at its start is known by the checkpoints only, and Core has appended since: the position
 * is then the first row after the last checkpoint that still fits, because which rows came after the cut does not show.
 * A row rewritten together with all its successors is found by the next checkpoint: the position is then the first row
 * after the last checkpoint that still fits.
 */
export async function verifyChain(storage: Storage, checkpoints: Checkpoint[], head: Head): Promise<VerifyJson> {
  const newest = checkpoints.at(-1);
  const checkpoint =
    newest === undefined ? null : { size: newest.size, hash: newest.hash, at: newest.at, valid: newest.valid };
  const report = (
    status: VerifyJson["status"],
    events: number,
    badSeq: number | null,
    message: string,
  ): VerifyJson => ({
    status,
    events,
    first_bad_seq: badSeq,
    checkpoint,
    message,
  });
  const invalid = checkpoints.find((one) => !one.valid);
  if (invalid !== undefined)
    return report("tampered", head.seq, null, "a checkpoint is damaged or was not signed by this Core");
  try {
    const hashesAt = Map.groupBy(checkpoints, (one) => one.size);
    const erased = erasedSeqs(storage);
    let previous: Head = { seq: 0, hash: GENESIS };
    let lastFitting = 0;
    for (;;) {
      const rows = rowsAfter(storage, previous.seq, BATCH);
      for (const row of rows) {
        if (row.seq > head.seq) break;
        const problem = rowProblem(row, previous, erased);
        if (problem !== undefined) return report("tampered", previous.seq, previous.seq + 1, problem);
        previous = { seq: row.seq, hash: row.row_hash };
        const expected = hashesAt.get(row.seq);
        if (expected?.some((one) => one.hash !== row.row_hash) === true)
          return report(
            "tampered",
            row.seq,
            lastFitting + 1,
            `the chain was rewritten: it does not fit the checkpoint of ${row.seq} events`,
          );
        if (expected !== undefined) lastFitting = row.seq;
      }
      if (rows.length < BATCH || previous.seq >= head.seq) break;
      await nextTurn();
    }
    if (previous.seq < head.seq)
      return report(
        "truncated",
        previous.seq,
        previous.seq + 1,
        `${head.seq - previous.seq} events at the end are gone`,
      );
    const signed = checkpoints.reduce((largest, one) => Math.max(largest, one.size), 0);
    if (previous.seq < signed)
      return report(
        "truncated",
        previous.seq,
        lastFitting + 1,
        `events up to ${signed} were signed, and there are only ${previous.seq}; what follows event ${lastFitting} cannot be relied on`,
      );
    if (previous.hash !== head.hash)
      return report(
        "tampered",
        previous.seq,
        lastFitting + 1,
        "the chain was rewritten: it does not fit the head that Core knows",
      );
    return report("intact", previous.seq, null, `${previous.seq} events, every hash fits`);
  } catch {
    return report("unreadable", 0, null, "the audit log cannot be read");
  }
}

function rowProblem(row: AuditRow, previous: Head, erased: ReadonlySet<number>): string | undefined {
  if (row.seq !== previous.seq + 1) return `event ${previous.seq + 1} is missing`;
  if (row.prev_hash !== previous.hash) return `event ${row.seq} does not follow the one before it`;
  if (hashRow(row) !== row.row_hash) return `event ${row.seq} was changed`;
  if (row.metadata_json === null || row.meta_salt === null) {
    return erased.has(row.seq) ? undefined : `the metadata of event ${row.seq} was removed without a tombstone`;
  }
  return digestMetadata(row.meta_salt, row.metadata_json) === row.meta_digest
    ? undefined
    : `the metadata of event ${row.seq} was changed`;
}
