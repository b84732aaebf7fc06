/**
 * The exclusive lock of a home: one Core per OPENSENTIENCE_HOME, taken before any state is touched.
 *
 * It is SQLite's own file lock on a file of its own, so the kernel releases it the moment the process is gone, however
 * it ended; nothing stale can be left and no pid file can lie.
 */
import { DatabaseSync } from "node:sqlite";

export type Lock = { release(): void };

/** undefined when another live process holds it. */
export function acquireLock(path: string): Lock | undefined {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
  } catch (error) {
    db.close();
    // SQLITE_BUSY
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === 5) return undefined;
    throw error;
  }
  return { release: () => db.close() };
}
