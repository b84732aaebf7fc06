import { readPrivateFile, writePrivateFile } from "../host/private-file.ts";

/** What was known about one entry when its bytes were hashed; `size` is what stat said. */
export type CachedEntry = { path: string; size: number; mtimeNs: string; ctimeNs: string; ino: string; sha256: string };

/** A file system's clock may tick this coarsely: a change within it can leave the times as they were. */
const RACY_WINDOW_NS = 2_000_000_000n;

/** More than a million files. */
const MAX_BYTES = 256 * 1024 * 1024;

type CachedRow = [path: string, size: number, mtimeNs: string, ctimeNs: string, ino: string, sha256: string];

/** The cache by path; empty when there is none or when it is damaged. */
export async function loadStatCache(path: string): Promise<Map<string, CachedEntry>> {
  const known = new Map<string, CachedEntry>();
  try {
    const stored = JSON.parse(readPrivateFile(path, MAX_BYTES)) as { version?: unknown; rows?: unknown } | null;
    if (stored?.version !== 1 || !Array.isArray(stored.rows)) return known;
    for (const row of stored.rows as unknown[]) {
      if (!isRow(row)) return new Map();
      known.set(row[0], { path: row[0], size: row[1], mtimeNs: row[2], ctimeNs: row[3], ino: row[4], sha256: row[5] });
    }
  } catch {
    return new Map();
  }
  return known;
}

/**
 * Stores the entries that were at rest when hashing began (`cachingMomentMs`, wall clock). One touched less than two
 * seconds before, or later, is left out and read again next time. A cache that cannot be written is only slower.
 */
export async function saveStatCache(
  path: string,
  entries: readonly CachedEntry[],
  cachingMomentMs: number,
): Promise<void> {
  const limit = BigInt(cachingMomentMs) * 1_000_000n - RACY_WINDOW_NS;
  const rows = entries
    .filter((entry) => BigInt(entry.mtimeNs) < limit && BigInt(entry.ctimeNs) < limit)
    .map((entry): CachedRow => [entry.path, entry.size, entry.mtimeNs, entry.ctimeNs, entry.ino, entry.sha256]);
  await writePrivateFile(path, JSON.stringify({ version: 1, rows })).catch(() => undefined);
}

function isRow(row: unknown): row is CachedRow {
  if (!Array.isArray(row) || row.length !== 6) return false;
  return (
    row.every((value, index) => typeof value === (index === 1 ? "number" : "string")) &&
    /^[0-9a-f]{64}$/.test(String(row[5]))
  );
}
