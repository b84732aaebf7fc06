/**
 * `node scripts/bench-capture.ts [megabytes]`: what it costs to capture the output of an agent. The floor is
 * `cat | cat > file`; the same bytes then go from a real child through a real pipe into `captureLogs` (redacted, stamped,
 * rotated), in turns, five times. Prints the medians of wall and CPU time as ratios to the floor, and how much memory
 * grows under a line without an end (1 GB) and under lines that are almost empty. Run by hand: figures, no verdict.
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redactor } from "../packages/core/src/audit-log/audit-log.ts";
import { keepHeapSmall } from "../packages/core/src/host/memory.ts";
import { openPipes } from "../packages/core/src/host/pipe.ts";
import { captureLogs } from "../packages/core/src/logs/logs.ts";

const ROUNDS = 5;
const LIMITS = { maxLineBytes: 8192, maxFileBytes: 10 << 20, maxFiles: 5 };

/** CPU includes that of the programs that make or move the bytes. `slowestTurnMs` is how late a 5 ms timer came at worst. */
type Cost = { wallMs: number; cpuMs: number };
type CaptureCost = Cost & { grownMiB: number; slowestTurnMs: number; bytes: number };

/** What `times` of the shell says of its children, in milliseconds. */
function childrenCpuMs(times: string): number {
  const last = times.trim().split("\n").at(-1) ?? "";
  const parts = [...last.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0);
}

function floor(folder: string, input: string): Cost {
  const started = performance.now();
  const output = join(folder, "floor");
  const times = execFileSync("sh", ["-c", 'cat "$1" | cat > "$2"; times', "sh", input, output], { encoding: "utf8" });
  const wallMs = performance.now() - started;
  rmSync(output);
  return { wallMs, cpuMs: childrenCpuMs(times) };
}

/** Runs `command` (shell) in a process of its own, so that no run inherits the heap of another. */
function capture(folder: string, command: string): CaptureCost {
  const script = [import.meta.filename, "--capture", folder, command];
  return JSON.parse(execFileSync(process.execPath, script, { encoding: "utf8" })) as CaptureCost;
}

async function captureHere(folder: string, command: string): Promise<CaptureCost> {
  keepHeapSmall();
  const redactor = new Redactor();
  redactor.protect("a-session-token-0123456789abcdef", "session_token");
  const [stdout, stderr] = await openPipes(folder, 2);
  if (stdout === undefined || stderr === undefined) throw new Error("no pipes");
  const watch = watchProcess();
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  const path = join(folder, "logs", "run.log");
  const running = captureLogs({ stdout: stdout.readEnd, stderr: stderr.readEnd, path, limits: LIMITS, redactor });
  const times = join(folder, "times");
  spawn("sh", ["-c", `${command}; times > "${times}"`], { stdio: ["ignore", stdout.writeFd, stderr.writeFd] });
  for (const pipe of [stdout, stderr]) closeSync(pipe.writeFd);
  await running.done;
  const wallMs = performance.now() - startedAt;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuMs = (cpu.user + cpu.system) / 1000 + childrenCpuMs(readFileSync(times, "utf8"));
  rmSync(join(folder, "logs"), { recursive: true });
  return { wallMs, cpuMs, ...watch(), bytes: running.stats.bytes };
}

/** Looks at memory and at the delay of timers until the returned function is called. */
function watchProcess(): () => { grownMiB: number; slowestTurnMs: number } {
  const idle = process.memoryUsage.rss();
  let [peak, slowestTurnMs, last] = [idle, 0, performance.now()];
  const timer = setInterval(() => {
    const now = performance.now();
    slowestTurnMs = Math.max(slowestTurnMs, now - last - 5);
    last = now;
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 5);
  return () => {
    clearInterval(timer);
    return { grownMiB: (peak - idle) / (1 << 20), slowestTurnMs };
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Lines of 100 bytes that look like those of a service. */
function writeLines(path: string, megabytes: number): void {
  const lines = Array.from({ length: 10_000 }, (_, index) =>
    `2026-01-02T03:04:05.678Z INFO worker=${index % 16} served request ${index} in ${(index * 7919) % 997} ms for item ${index * 31}`
      .padEnd(99, " and so on")
      .slice(0, 99),
  );
  const megabyte = Buffer.from(`${lines.join("\n")}\n`);
  writeFileSync(path, Buffer.concat(Array.from({ length: megabytes }, () => megabyte)));
}

function compare(folder: string, megabytes: number): void {
  const input = join(folder, "input");
  writeLines(input, megabytes);
  const [floors, captures]: [Cost[], CaptureCost[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    floors.push(floor(folder, input));
    captures.push(capture(folder, `cat "${input}"`));
  }
  for (const kind of ["wallMs", "cpuMs"] as const) {
    const [base, cost] = [median(floors.map((one) => one[kind])), median(captures.map((one) => one[kind]))];
    console.log(`${kind}: floor ${base.toFixed(0)}, capture ${cost.toFixed(0)}, ratio ${(cost / base).toFixed(2)}`);
  }
  console.log(`memory: +${median(captures.map((one) => one.grownMiB)).toFixed(1)} MiB`);
}

function flood(folder: string, name: string, command: string): void {
  const { bytes, wallMs, cpuMs, grownMiB, slowestTurnMs } = capture(folder, command);
  const rate = (bytes / 1000 / wallMs).toFixed(1);
  const memory = `+${grownMiB.toFixed(1)} MiB, slowest turn ${slowestTurnMs.toFixed(0)} ms`;
  console.log(`${name}: ${rate} MB/s, CPU ${cpuMs.toFixed(0)} ms, ${memory}`);
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "--capture") console.log(JSON.stringify(await captureHere(rest[0] ?? "", rest[1] ?? "")));
else {
  const folder = mkdtempSync(join(tmpdir(), "bench-capture-"));
  try {
    compare(folder, Number(mode ?? 200));
    flood(folder, "1 GB without a line end", "yes xxxxxxxxxxxxxxx | tr '\\n' y | head -c 1000000000");
    flood(folder, "lines of one letter, 100 MB", "yes | head -c 100000000");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
