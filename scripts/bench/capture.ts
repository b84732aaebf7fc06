/**
 * Capture of what an agent prints, against the least that could be done with the same bytes. The subject is bundled as the
 * product is, so that Node neither strips types nor compiles the stripper while it is measured.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";
import { type CaptureCost, childrenCpuMs } from "./capture-cost.ts";
import { type Figure, median, type Measured, ratioOf, sideBySide } from "./figure.ts";

const MEGABYTES = 200;
const BYTES = MEGABYTES * 1_000_000;

export const figure: Figure = {
  name: "capture",
  subject: `${MEGABYTES} MB in lines of 100 bytes through a pipe into a log: redacted, stamped, rotated.`,
  floor: "`cat input | cat > file`.",
  target: 4,
  measure,
};

async function measure(rounds: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "bench-capture-"));
  try {
    const program = await bundleSubject(folder);
    const input = join(folder, "input");
    writeFileSync(input, serviceLines());
    const [floors, captures]: [number[], CaptureCost[]] = [[], []];
    const pair = await sideBySide(
      rounds,
      async () => {
        const { wallMs, cpuMs } = floor(folder, input);
        floors.push(cpuMs);
        return wallMs;
      },
      async () => {
        const cost = capture(program, folder, `cat "${input}"`);
        if (cost.bytes !== BYTES || cost.lines !== BYTES / 100)
          throw new Error(`not all came: ${JSON.stringify(cost)}`);
        captures.push(cost);
        return cost.wallMs;
      },
    );
    return ratioOf(pair, "ms", [
      `CPU of everything that takes part: ${(median(captures.map((one) => one.cpuMs)) / median(floors)).toFixed(1)} of the floor.`,
      `Core's memory grows by ${median(captures.map((one) => one.grownMiB)).toFixed(0)} MiB.`,
      flood(program, folder, "1 GB without a line end", "yes xxxxxxxxxxxxxxx | tr '\\n' y | head -c 1000000000"),
      flood(program, folder, "100 MB in lines of one letter", "yes | head -c 100000000"),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function bundleSubject(folder: string): Promise<string> {
  const build = await rolldown({
    input: join(import.meta.dirname, "capture-subject.ts"),
    platform: "node",
    tsconfig: resolve(import.meta.dirname, "../../tsconfig.json"),
  });
  const program = join(folder, "capture-subject.mjs");
  await build.write({ file: program, format: "esm", codeSplitting: false });
  await build.close();
  return program;
}

/** Lines that look like those of a service. */
function serviceLines(): Buffer {
  const lines = Array.from({ length: 10_000 }, (_, index) =>
    `2026-01-02T03:04:05.678Z INFO worker=${index % 16} served request ${index} in ${(index * 7919) % 997} ms for item ${index * 31}`
      .padEnd(99, " and so on")
      .slice(0, 99),
  );
  const megabyte = Buffer.from(`${lines.join("\n")}\n`);
  return Buffer.concat(Array.from({ length: MEGABYTES }, () => megabyte));
}

function floor(folder: string, input: string): { wallMs: number; cpuMs: number } {
  const output = join(folder, "floor");
  const startedAt = performance.now();
  const times = execFileSync("sh", ["-c", 'cat "$1" | cat > "$2"; times', "sh", input, output], { encoding: "utf8" });
  const wallMs = performance.now() - startedAt;
  rmSync(output);
  return { wallMs, cpuMs: childrenCpuMs(times) };
}

function capture(program: string, folder: string, command: string): CaptureCost {
  return JSON.parse(execFileSync(process.execPath, [program, folder, command], { encoding: "utf8" })) as CaptureCost;
}

function flood(program: string, folder: string, name: string, command: string): string {
  const { bytes, wallMs, grownMiB, slowestTurnMs } = capture(program, folder, command);
  const rate = `${(bytes / 1000 / wallMs).toFixed(0)} MB/s`;
  return `${name}: ${rate}, memory +${grownMiB.toFixed(0)} MiB, slowest turn of the loop ${slowestTurnMs.toFixed(0)} ms.`;
}
