/** Looks at what a run uses while it lives: the size of its data folder, the memory of its tree. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { folderEntries } from "../host/folder-entries.ts";

/** Between the end of one look and the next, in ms: folders can be large, memory can grow fast. */
const DISK_EVERY_MS = 1_000;
const MEMORY_EVERY_MS = 250;
/** `du` counts in blocks of this size, whatever the file system's own are. */
const BLOCK_BYTES = 512;
/** So many names are a folder that is over any limit worth having. */
const MAX_NAMES = 1_000_000;

type Over = (bytes: number) => void;

/** Calls `onOver` once, with what the folder takes, when that is more than `limitBytes`; the answer ends the watch. */
export function watchDisk(folder: string, limitBytes: number, onOver: Over): () => void {
  return watch(() => diskBytes(folder, limitBytes), limitBytes, DISK_EVERY_MS, onOver);
}

/** The same for what `used` says. */
export function watchMemory(used: () => number, limitBytes: number, onOver: Over): () => void {
  return watch(used, limitBytes, MEMORY_EVERY_MS, onOver);
}

function watch(measure: () => number | Promise<number>, limitBytes: number, everyMs: number, onOver: Over): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const look = async (): Promise<void> => {
    const bytes = await measure();
    if (isOver) return;
    if (bytes > limitBytes) onOver(bytes);
    else next();
  };
  const next = (): void => {
    timer = setTimeout(() => void look(), everyMs).unref();
  };
  next();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** What the folder takes on disk; where that is over `enough`, a number over it. Links are not followed. */
export async function diskBytes(folder: string, enough: number): Promise<number> {
  let bytes = 0;
  let names = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for await (const entry of folderEntries(next)) {
      const path = join(next, entry.name);
      names += 1;
      // What is gone by now takes nothing.
      bytes += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * BLOCK_BYTES;
      if (bytes > enough) return bytes;
      if (names > MAX_NAMES) return Number.MAX_SAFE_INTEGER;
      if (entry.isDirectory()) folders.push(path);
    }
  }
  return bytes;
}
