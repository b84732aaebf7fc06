/** Statements that read all of a large table, in a thread and over a connection of their own, while Core answers others. */
import { once } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** Beside this file in the source tree, and beside the bundle. */
const PROGRAM = new URL(`./reading-worker${extname(import.meta.url)}`, import.meta.url);

/** The rows of each. Rejects when the file cannot be read, or there is no memory for a thread. */
export async function readInThread(path: string, statements: readonly string[]): Promise<unknown[][]> {
  const thread = new Worker(PROGRAM, { workerData: { path, statements }, env: {}, execArgv: [] });
  // A Core that stops does not wait for it.
  thread.unref();
  const [rows] = (await once(thread, "message")) as [unknown[][]];
  return rows;
}
