/** What stands in a folder, a few names at a time: one that an agent fills may hold millions. */
import type { Dirent } from "node:fs";
import { opendir } from "node:fs/promises";

/** Names that are read at once. */
const BATCH = 1_024;

/** Nothing of what is no folder, is gone or cannot be read. Who stops early leaves nothing open. */
export async function* folderEntries(path: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(path, { bufferSize: BATCH });
  } catch {
    // Whoever looks at places that others change takes what there is.
  }
}
