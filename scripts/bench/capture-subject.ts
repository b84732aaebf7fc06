/**
 * The process that the figure `capture` measures: `<node> capture-subject.js FOLDER COMMAND` runs the shell command with
 * its output in real pipes, captures that as a run of Core does, and prints what it cost as one line of JSON. A process of
 * its own for every round, so that no round inherits the heap of another.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Redactor } from "../../packages/core/src/audit-log/audit-log.ts";
import { keepHeapSmall } from "../../packages/core/src/host/memory.ts";
import { openPipes } from "../../packages/core/src/host/pipe.ts";
import { captureLogs } from "../../packages/core/src/logs/logs.ts";
import { type CaptureCost, childrenCpuMs } from "./capture-cost.ts";

const LIMITS = { maxLineBytes: 8192, maxFileBytes: 10 << 20, maxFiles: 5 };

const [folder = "", command = ""] = process.argv.slice(2);
console.log(JSON.stringify(await capture()));

async function capture(): Promise<CaptureCost> {
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
  await Promise.all([once(stdout.readEnd, "close"), once(stderr.readEnd, "close")]);
  await running.drainAndClose(60_000);
  const wallMs = performance.now() - startedAt;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuMs = (cpu.user + cpu.system) / 1000 + childrenCpuMs(readFileSync(times, "utf8"));
  rmSync(join(folder, "logs"), { recursive: true });
  return { wallMs, cpuMs, ...watch(), bytes: running.stats.bytes, lines: running.stats.lines };
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
