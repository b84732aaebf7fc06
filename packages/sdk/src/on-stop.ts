/** A clean end: Core asks a run to stop with SIGTERM, waits for its grace period, then ends the whole tree. */

export type StopOptions = {
  /** How long the handler may take, in ms. Default 4000: below Core's default grace period of 5000. */
  timeoutMs?: number;
};

const DEFAULT_TIMEOUT_MS = 4_000;
let isRegistered = false;

/**
 * Runs `handler` once, on the first SIGTERM or SIGINT, and ends the process when it is done: with exit code 0, or with
 * 1 when it failed or took longer than its time. Further signals do not run it again. Throws when called twice,
 * because two handlers would race for the end; do everything in one.
 */
export function onStop(handler: () => void | Promise<void>, options: StopOptions = {}): void {
  if (isRegistered) throw new Error("onStop was called before; do everything that a stop needs in one handler");
  isRegistered = true;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    // The timer also keeps the process alive while a handler waits for something that does not.
    setTimeout(() => endWith(1, `the stop handler took longer than ${timeoutMs} ms`), timeoutMs);
    void run(handler);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

async function run(handler: () => void | Promise<void>): Promise<void> {
  try {
    await handler();
    endWith(0);
  } catch (error) {
    endWith(1, `the stop handler failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function endWith(exitCode: number, complaint?: string): void {
  if (complaint !== undefined) process.stderr.write(`${complaint}\n`);
  process.exit(exitCode);
}
