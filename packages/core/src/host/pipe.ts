/**
 * Real pipes between Core and the programs it starts.
 *
 * Node gives a child one end of a socket pair when asked for a "pipe". A socket cannot be opened again by path, so
 * `echo x > /dev/stdout` in the child fails with ENXIO. A FIFO has no such fault: it is made with mkfifo(1) (Node has
 * no call for it), opened on both ends and removed from its folder at once, so that only the two descriptors remain.
 * One spawn makes some ahead.
 *
 * Life cycle: the caller owns both ends from the moment the promise resolves. It hands `writeFd` to a spawn and
 * closes it right after, and it destroys `readEnd` when it is done. `readEnd` ends when the last holder of the
 * write end is gone, which may be long after the child itself: nobody waits for that end without a limit.
 *
 * Promises: reading is asynchronous with back-pressure; it begins with the first listener for `data`, and an unread
 * pipe makes its writer wait (64 KiB in the kernel, nothing here). When anything fails, every descriptor and file made
 * for it is gone before the error arrives. A pipe is handed out once.
 * Refuses: to open anything that is not the FIFO just made. Callers: sandbox. The only user of node:net in host.
 */
import { closeSync, constants, fstatSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { CoreError } from "@opensentience/protocol";
import { runTool } from "./child-process.ts";
import { killPoint } from "./kill-point.ts";

/** What a pipe holds. All pipes are read into the same bytes: fresh ones for every read cost more than the read. */
const CHUNK = Buffer.allocUnsafeSlow(65_536);

/**
 * One pipe: Core reads `readEnd`; `writeFd` goes to a child and is closed in Core right after the spawn. `readEnd` is
 * read by listening to `data` only. A chunk is good until its listener returns: what is kept must be copied.
 */
export type OpenPipe = { readEnd: Readable; writeFd: number };

/**
 * As many pipes, each used once. `folder` must be private to Core's user. The last `unbroken` of them can be read through
 * `writeFd` too: whoever holds it may write (64 KiB) although Core is gone, which otherwise ends a program.
 * Fails with `core.tool_missing` (no mkfifo) or `launcher.start_failed` (folder not writable, no descriptors left).
 */
export async function openPipes(folder: string, count: number, unbroken = 0): Promise<OpenPipe[]> {
  while (stock.length < count) {
    if (making === undefined) await makeMore(folder, Math.max(BATCH, count - stock.length));
    // Another's fault, in another's folder: the next turn tries in this one.
    else await making.catch(() => {});
  }
  const ends = stock.splice(0, count);
  try {
    for (const one of ends.slice(count - unbroken)) one.writeFd = readableToo(one.writeFd);
  } catch (cause) {
    closeBoth(ends);
    throw notOpened(cause);
  }
  return ends.map(({ readFd, writeFd }) => ({ readEnd: readEndOf(readFd), writeFd }));
}

type Ends = { readFd: number; writeFd: number };

/**
 * Open at both ends and nowhere in the file system. A spawn of mkfifo costs a start as much as three of its mounts, and
 * makes many as fast as two.
 */
const stock: Ends[] = [];
const BATCH = 24;
let making: Promise<void> | undefined;

function makeMore(folder: string, count: number): Promise<void> {
  making = makeFifos(folder, count).finally(() => (making = undefined));
  return making;
}

async function makeFifos(folder: string, count: number): Promise<void> {
  const paths = Array.from({ length: count }, () => join(folder, `pipe-${randomUUID()}`));
  const opened: Ends[] = [];
  try {
    await mkfifo(paths);
    killPoint("pipes.made");
    for (const path of paths) opened.push(openFifo(path));
    stock.push(...opened);
  } catch (error) {
    closeBoth(opened);
    throw error instanceof CoreError ? error : notOpened(error);
  } finally {
    for (const path of paths) rmSync(path, { force: true });
    killPoint("pipes.opened");
  }
}

async function mkfifo(paths: readonly string[]): Promise<void> {
  const env = { PATH: "/usr/bin:/bin", LC_ALL: "C" };
  const made = await runTool(["mkfifo", "-m", "600", "--", ...paths], { env, timeoutMs: 10_000, maxBytes: 4096 });
  if (made.exitCode === 0) return;
  throw new CoreError("launcher.start_failed", "the output pipes could not be made", {
    details: { reason: made.stderr.toString("utf8").trim() },
  });
}

function openFifo(path: string): Ends {
  // The read end first and without waiting: opening a FIFO otherwise blocks until the other side is there.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    if (!fstatSync(readFd).isFIFO()) throw new Error(`${path} is not a FIFO`);
    return { readFd, writeFd: openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}

/** Linux opens a pipe again by its descriptor; only its sandbox asks for one. */
function readableToo(writeFd: number): number {
  const both = openSync(`/proc/self/fd/${writeFd}`, constants.O_RDWR);
  closeSync(writeFd);
  return both;
}

function closeBoth(ends: readonly Ends[]): void {
  for (const { readFd, writeFd } of ends) {
    closeSync(writeFd);
    closeSync(readFd);
  }
}

function notOpened(cause: unknown): CoreError {
  return new CoreError("launcher.start_failed", "the output pipes could not be opened", { cause });
}

function readEndOf(readFd: number): Readable {
  const callback = (length: number): boolean => readEnd.emit("data", CHUNK.subarray(0, length));
  const readEnd = new Socket({ fd: readFd, readable: true, writable: false, onread: { buffer: CHUNK, callback } });
  // Bytes that nobody listens to would be lost.
  readEnd.pause();
  readEnd.on("newListener", (event) => void (event === "data" && readEnd.resume()));
  // A read error also closes the stream, which is what readers watch; without a listener it would end Core.
  readEnd.on("error", () => {});
  return readEnd;
}
