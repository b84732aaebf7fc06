/**
 * What the sandbox costs: a small Node program from its spawn to the end of its first line, bare and in a box. The box
 * is started as the launcher starts one, with its pipes, its go byte and its shim; nothing else of a run is in it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { probeSandbox, runPolicy, startBoxed } from "../../packages/core/src/sandbox/sandbox.ts";
import { type Figure, ratioOf, sideBySide, timed } from "./figure.ts";

const PATH = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;
/** Per round, so that one that met a busy moment does not count for all. */
const STARTS = 10;
const AT_ONCE = 20;

export const figure: Figure = {
  name: "start-in-box",
  subject: "A Node program of one line in a sandbox, from the start to its end.",
  floor: "the same program, spawned bare",
  target: 1.3,
  async measure(rounds) {
    const root = mkdtempSync(join(tmpdir(), "os-bench-box-"));
    try {
      const probe = await probeSandbox(PATH);
      if (probe.features === undefined)
        return {
          floor: null,
          subject: Infinity,
          ratio: Infinity,
          unit: "ms",
          notes: [`Not measured: ${probe.reason}`],
        };
      const folders = { source: join(root, "src"), data: join(root, "data"), socketFolder: join(root, "run") };
      for (const folder of Object.values(folders)) mkdirSync(folder);
      const program = join(folders.source, "main.cjs");
      writeFileSync(program, 'console.log("here");\n');
      const argv = [process.execPath, program];
      const policy = await runPolicy({
        ...folders,
        approvedPermissions: [],
        toolPath: PATH,
        program: process.execPath,
        network: "none",
        limits: {},
        core: { operatorHome: root, own: [join(root, "core")] },
      });
      const options = { probe, argv, cwd: folders.source, env: { PATH }, pipeFolder: folders.socketFolder, policy };
      const boxed = async (): Promise<void> => {
        const box = await startBoxed({ ...options, marker: "bench" });
        for (const stream of [box.stdout, box.stderr]) stream.on("data", () => {});
        box.release();
        await box.ended;
        for (const stream of [box.stdout, box.stderr]) stream.destroy();
      };
      const bare = (): Promise<unknown> => runTool(argv, { env: { PATH }, timeoutMs: 60_000, maxBytes: 1_000 });
      const pair = await sideBySide(
        rounds,
        () => timedStarts(bare),
        () => timedStarts(boxed),
      );
      const together = await timed(() => Promise.all(Array.from({ length: AT_ONCE }, boxed)));
      return ratioOf(pair, "ms", [`${AT_ONCE} started at once were all over after ${Math.round(together)} ms.`]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};

/** The mean of some starts in a row, in ms. */
async function timedStarts(start: () => Promise<unknown>): Promise<number> {
  let total = 0;
  for (let count = 0; count < STARTS; count += 1) total += await timed(start);
  return total / STARTS;
}
