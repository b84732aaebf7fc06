import { readFileSync } from "node:fs";
import { expect, test, onTestFinished } from "vitest";
import { spawnProcess, whenExited, whenSpawned } from "./child-process.ts";
import {
  bootId,
  isAlive,
  isSameProcess,
  listDescendants,
  listProcesses,
  parseStat,
  pollUntil,
  processUsage,
  readProcess,
  signalProcess,
} from "./process-tree.ts";

const SOON = { everyMs: 5, timeoutMs: 8_000 };

async function sleeper() {
  const child = spawnProcess(["/bin/sleep", "1000"], { env: {}, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = whenExited(child);
  await whenSpawned(child);
  const pid = child.pid ?? 0;
  const startTime = readProcess(pid)?.startTime ?? "";
  return { pid, startTime, end: async () => (child.kill("SIGKILL"), exited) };
}

test("reads a name that imitates the fields", () => {
  const tail = "S 77 78 79 0 -1 4194560 1 2 3 4 100 50 10 5 20 0 1 0 424242 1 2";
  expect(parseStat(`12 (x) Z 1 1 (y) ${tail}\n`)).toEqual({
    pid: 12,
    name: "x) Z 1 1 (y",
    state: "S",
    ppid: 77,
    processGroup: 78,
    session: 79,
    startTime: "424242",
    cpuMs: 1650,
  });
});

test("refuses lines that are not of the process table", () => {
  for (const text of ["", "12 name S 1", "12 (x) S 1 2", ")("]) expect(parseStat(text)).toBeUndefined();
});

test("reads a real process whose name holds parentheses and spaces", async () => {
  const rename = "printf 'a) R 1 (b' > /proc/$$/comm; read -r _";
  const child = spawnProcess(["/bin/sh", "-c", rename], { env: {}, stdio: ["pipe", "ignore", "inherit"] });
  const info = await pollUntil(() => [readProcess(child.pid ?? 0)].find((found) => found?.name.startsWith("a)")), SOON);
  expect(info).toMatchObject({ pid: child.pid, ppid: process.pid, name: "a) R 1 (b" });
  child.kill("SIGKILL");
});

test("knows this process and its own descendants", async () => {
  const one = await sleeper();
  expect(readProcess(process.pid)).toMatchObject({ pid: process.pid, ppid: process.ppid });
  expect(listDescendants(process.pid)).toContainEqual(expect.objectContaining({ pid: one.pid, ppid: process.pid }));
  expect(listDescendants(process.ppid).map((info) => info.pid)).toContain(one.pid);
  expect(listDescendants(one.pid)).toEqual([]);
  expect(listProcesses().length).toBeGreaterThan(2);
  await one.end();
  expect(listDescendants(process.pid).map((info) => info.pid)).not.toContain(one.pid);
});

test("does not take a reused pid for the recorded process", async () => {
  const one = await sleeper();
  expect(isSameProcess(one.pid, one.startTime, bootId())).toBe(true);
  expect(isSameProcess(one.pid, `${one.startTime}1`, bootId())).toBe(false);
  expect(isSameProcess(one.pid, one.startTime, "another boot")).toBe(false);
  expect(isSameProcess(one.pid, "", bootId())).toBe(false);
  expect(isSameProcess(one.pid, one.startTime, "")).toBe(false);
  await one.end();
  expect(isSameProcess(one.pid, one.startTime, bootId())).toBe(false);
});

test("never signals a process with another start time", async () => {
  const one = await sleeper();
  expect(signalProcess({ pid: one.pid, startTime: "1" }, "SIGKILL")).toBe(false);
  expect(isAlive(one)).toBe(true);
  expect(signalProcess(one, "SIGKILL")).toBe(true);
  expect(await one.end()).toMatchObject({ signal: "SIGKILL" });
  expect(isAlive(one)).toBe(false);
  expect(signalProcess(one, "SIGKILL")).toBe(false);
});

test.each([-1, 0, 1])("never signals pid %i", (pid) => {
  expect(signalProcess({ pid, startTime: readProcess(pid)?.startTime ?? "" }, "SIGCONT")).toBe(false);
});

test("adds up what processes use and counts the gone as nothing", async () => {
  const one = await sleeper();
  const mine = processUsage([process.pid]);
  expect(mine.memoryBytes).toBeGreaterThan(10_000_000);
  expect(mine.cpuMs).toBeGreaterThan(0);
  expect(processUsage([process.pid, one.pid]).memoryBytes).toBeGreaterThan(0);
  await one.end();
  expect(processUsage([one.pid, 999_999_999])).toEqual({ cpuMs: 0, memoryBytes: 0 });
  expect(readProcess(999_999_999)).toBeUndefined();
});

test("the boot id is the kernel's", () => {
  expect(bootId()).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
});

test("polling ends with the last answer when the time is over", async () => {
  expect(await pollUntil(() => undefined, { everyMs: 1, timeoutMs: 5 })).toBeUndefined();
  let looks = 0;
  expect(await pollUntil(() => (looks += 1) > 2 && looks, { everyMs: 1, timeoutMs: 5_000 })).toBe(3);
});
