/** Statements that read all of a large table, in a thread and over a connection of their own, while Core answers others. */
import { once } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** Beside this file in the source tree, and beside the bundle. */
const PROGRAM = new URL(`./reading-worker${extname(import.meta.url)}`, import.meta.url);

let busy: Promise<unknown> = Promise.resolve();

/** The rows of each; one thread at a time, whoever asks. Rejects when the file cannot be read, or there is no memory for a thread. */
export function readInThread(path: string, statements: readonly string[]): Promise<unknown[][]> {
  const rows = busy.then(() => read(path, statements));
  busy = rows.catch(() => {});
  return rows;
}

async function read(path: string, statements: readonly string[]): Promise<unknown[][]> {
  const thread = new Worker(PROGRAM, { workerData: { path, statements }, env: {}, execArgv: [] });
  // A Core that stops does not wait for it.
  thread.unref();
  const silent = once(thread, "exit").then((): never => {
    throw new Error("the thread ended without an answer");
  });
  const [rows] = (await Promise.race([once(thread, "message"), silent])) as [unknown[][]];
  return rows;
}
