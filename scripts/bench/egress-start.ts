/** What the way out costs a run: from the spawn to the first byte that a Node agent prints, beside a bare spawn of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeSandbox, startBoxed } from "../../packages/core/src/sandbox/sandbox.ts";
import { type Figure, median, type Measured, ratioOf, sideBySide } from "./figure.ts";

const PATH = "/usr/bin:/bin";
const ARGV = [process.execPath, "-e", "process.stdout.write('x')"] as const;
/** Each round starts so many, because one start says little. */
const STARTS = 10;

export const figure: Figure = {
  name: "egress-start",
  subject: "A Node agent in a sandbox with a way out, from the spawn to the first byte that it prints.",
  floor: "a bare spawn of the same program",
  target: 2,
  measure,
};

async function measure(rounds: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "bench-start-"));
  try {
    const box = await boxedStart(folder);
    const without: number[] = [];
    const pair = await sideBySide(
      rounds,
      () => medianOf(bareStart),
      async () => {
        without.push(await medianOf(() => box(false)));
        return medianOf(() => box(true));
      },
    );
    const { floor } = ratioOf(pair);
    const ratio = median(without) / (floor ?? 1);
    return ratioOf(pair, "ms", [`Without a way out: ${ratio.toFixed(2)} (${median(without).toFixed(1)} ms).`]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function medianOf(start: () => Promise<number>): Promise<number> {
  const taken: number[] = [];
  for (let count = 0; count < STARTS; count += 1) taken.push(await start());
  return median(taken);
}

async function bareStart(): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(ARGV[0], ARGV.slice(1), { env: {}, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  await once(child.stdout, "data");
  const tookMs = performance.now() - startedMs;
  await closed;
  return tookMs;
}

async function boxedStart(folder: string): Promise<(hasWayOut: boolean) => Promise<number>> {
  const probe = await probeSandbox(PATH);
  let count = 0;
  return async (hasWayOut) => {
    const startedMs = performance.now();
    let listener: Server | undefined;
    const box = await startBoxed({
      probe,
      argv: ARGV,
      cwd: "/",
      env: { PATH },
      pipeFolder: folder,
      marker: `bench-${(count += 1)}`,
      policy: { granted: [], hidden: [], own: [], tools: [process.execPath], network: "none", limits: {} },
      ...(hasWayOut ? { wayOut: (one: Server) => Promise.resolve(void (listener = one)) } : {}),
    });
    box.stderr.resume();
    const first = once(box.stdout, "data");
    box.release();
    await first;
    const tookMs = performance.now() - startedMs;
    await box.ended;
    listener?.close();
    return tookMs;
  };
}
