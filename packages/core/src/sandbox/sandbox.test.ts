/** Real boxes around real misbehaving programs, in both ways of holding a tree. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { spawnProcess } from "../host/child-process.ts";
import {
  hasEnvironmentEntry,
  isAlive,
  listDescendants,
  listProcesses,
  pollUntil,
  readProcess,
} from "../host/process-tree.ts";
import { describeHeld, probeSandbox, startBoxed, type BoxedProcess, type SandboxProbe } from "./sandbox.ts";

vi.setConfig({ testTimeout: 60_000 });

const PATH = "/usr/local/bin:/usr/bin:/bin";
const SOON = { everyMs: 5, timeoutMs: 8_000 };
const folder = mkdtempSync(join(tmpdir(), "os-box-"));
const programs = fileURLToPath(new URL("../../../../tests/support/misbehaving/", import.meta.url));
const namespace = await probeSandbox(PATH);
const group: SandboxProbe = { backend: "process_group", reason: "asked for by this test" };
let runs = 0;

const open: BoxedProcess[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((box) => box.kill()));
});
afterAll(() => rmSync(folder, { recursive: true }));

type TestBox = BoxedProcess & { marker: string; output: () => string };

async function start(
  probe: SandboxProbe,
  argv: string[],
  options: { read?: boolean; cwd?: string } = {},
): Promise<TestBox> {
  const marker = `test-${process.pid}-${(runs += 1)}`;
  const program = argv[0]?.includes("/") ? argv : [join(programs, argv[0] ?? ""), ...argv.slice(1)];
  const box = await startBoxed({
    probe,
    argv: program,
    cwd: options.cwd ?? folder,
    env: { PATH, A: "1" },
    pipeFolder: folder,
    marker,
  });
  open.push(box);
  let text = "";
  if (options.read !== false)
    for (const stream of [box.stdout, box.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  return Object.assign(box, { marker, output: () => text });
}

async function startReleased(probe: SandboxProbe, argv: string[], ready = 1): Promise<TestBox> {
  const box = await start(probe, argv);
  box.release();
  if (ready > 0) await pollUntil(() => box.output().split("ready").length > ready, SOON);
  return box;
}

/** Living processes that were started with the marker of this box. */
function survivors(marker: string): number[] {
  return listProcesses()
    .filter((info) => info.state !== "Z" && hasEnvironmentEntry(info.pid, `OPENSENTIENCE_RUN_ID=${marker}`))
    .map((info) => info.pid);
}

async function outputOf(box: TestBox): Promise<string> {
  await pollUntil(() => box.stdout.closed && box.stderr.closed, SOON);
  return box.output();
}

test("the probe runs a box here", () => {
  expect(namespace).toMatchObject({ backend: "bubblewrap", version: expect.stringMatching(/^\d+\.\d+/) });
});

test("the probe says why bubblewrap cannot be used", async () => {
  expect(await probeSandbox(join(folder, "nowhere"))).toMatchObject({
    backend: "process_group",
    reason: expect.stringContaining("not installed"),
  });
  const fake = join(folder, "fake");
  mkdirSync(fake);
  writeFileSync(
    join(fake, "bwrap"),
    '#!/bin/sh\n[ "$1" = --version ] && echo "bubblewrap 9.9" && exit 0\necho "No permissions to create new namespace" >&2\nexit 1\n',
    { mode: 0o755 },
  );
  const probe = await probeSandbox(fake);
  expect(probe).toMatchObject({
    backend: "process_group",
    version: "9.9",
    reason: expect.stringContaining("No permissions"),
  });
  expect(describeHeld(probe)).toMatchObject({
    isolation: "process_group",
    sentence: expect.stringContaining("No permissions"),
  });
});

test("nothing is called enforced", () => {
  for (const probe of [namespace, group]) {
    expect(describeHeld(probe)).toMatchObject({ filesystem: "advisory", egress: "advisory", tools: "unsupported" });
  }
});

describe.each([
  ["pid_namespace", namespace],
  ["process_group", group],
] as const)("a box held by %s", (isolation, probe) => {
  test("does nothing before the release and then becomes the recorded process", async () => {
    const box = await start(probe, ["/bin/sh", "-c", "echo ran; exec sleep 1000"]);
    expect(box.isolation).toBe(isolation);
    expect(readProcess(box.pid)).toMatchObject({ startTime: box.pidStartTime, name: "sh" });
    expect(box.output()).toBe("");
    box.release();
    box.release();
    await pollUntil(() => readProcess(box.pid)?.name === "sleep", SOON);
    expect(readProcess(box.pid)?.startTime).toBe(box.pidStartTime);
    await pollUntil(() => box.output() !== "", SOON);
    expect(box.output()).toBe("ran\n");
    expect(box.usage()).toMatchObject({ processes: 1, memoryBytes: expect.any(Number) });
    expect(box.usage().memoryBytes).toBeGreaterThan(100_000);
    await box.kill();
    expect(box.usage()).toMatchObject({ processes: 0, memoryBytes: 0 });
  });

  test.each([0, 1, 3, 125])("reports exit code %i", async (code) => {
    const box = await startReleased(probe, ["exits-with-code.sh", String(code)], 0);
    expect(await box.ended).toEqual({ exitCode: code, signal: null, killedAfterTimeout: false, leaked: [] });
  });

  test.each(["SEGV", "KILL", "TERM", "ABRT"])("reports death by SIG%s", async (name) => {
    const box = await startReleased(probe, ["dies-by-signal.sh", name], 0);
    expect(await box.ended).toEqual({ exitCode: null, signal: `SIG${name}`, killedAfterTimeout: false, leaked: [] });
  });

  test("a stop before the release ends it and the agent never ran", async () => {
    const box = await start(probe, ["/bin/sh", "-c", "echo ran"]);
    await box.stop(5_000);
    expect(await box.ended).toMatchObject({ signal: "SIGTERM", killedAfterTimeout: false, leaked: [] });
    expect(await outputOf(box)).toBe("");
  });

  test("a program that ignores SIGTERM is killed after the grace, and the end says so", async () => {
    const box = await startReleased(probe, ["ignores-sigterm.sh"]);
    await box.stop(200);
    expect(await box.ended).toEqual({ exitCode: null, signal: "SIGKILL", killedAfterTimeout: true, leaked: [] });
    expect(survivors(box.marker)).toEqual([]);
  });

  test("children that ignore SIGTERM are ended after their leader exited", async () => {
    const box = await startReleased(probe, ["children-ignore-sigterm.sh"], 3);
    expect(survivors(box.marker).length).toBeGreaterThanOrEqual(4);
    await box.stop(300);
    expect(await box.ended).toEqual({ exitCode: 0, signal: null, killedAfterTimeout: true, leaked: [] });
    expect(survivors(box.marker)).toEqual([]);
  });

  test("members get their grace after the leader exited", async () => {
    const box = await startReleased(probe, ["members-use-their-grace.sh"]);
    await box.stop(8_000);
    expect(await box.ended).toEqual({ exitCode: 7, signal: null, killedAfterTimeout: false, leaked: [] });
    expect(await outputOf(box)).toContain("member finished");
  });

  test("a daemon in a session of its own is ended by a stop", async () => {
    const box = await startReleased(probe, ["daemonizes.py"]);
    expect(survivors(box.marker).length).toBeGreaterThanOrEqual(2);
    await box.stop(100);
    expect(await box.ended).toMatchObject({ killedAfterTimeout: true, leaked: [] });
    expect(survivors(box.marker)).toEqual([]);
  });

  test("a daemon does not outlive a leader that exits by itself", async () => {
    const box = await startReleased(probe, ["daemonizes.py", "leader-exits"]);
    expect(await box.ended).toEqual({ exitCode: 3, signal: null, killedAfterTimeout: false, leaked: [] });
    expect(survivors(box.marker)).toEqual([]);
  });

  test("a grandchild that holds stdout does not hold the end", async () => {
    const box = await startReleased(probe, ["grandchild-holds-stdout.sh"]);
    expect(await box.ended).toMatchObject({ exitCode: 4, leaked: [] });
    expect(await outputOf(box)).toBe("ready\n");
  });

  test("a stopped member does not sleep through its SIGTERM", async () => {
    const box = await startReleased(probe, ["/bin/sh", "-c", "echo ready; kill -STOP $$"]);
    await pollUntil(() => readProcess(box.pid)?.state === "T", SOON);
    await box.stop(60_000);
    expect(await box.ended).toMatchObject({ signal: "SIGTERM", killedAfterTimeout: false });
  });

  test("stop twice, kill during a stop, stop after the end: one end and no error", async () => {
    const box = await startReleased(probe, ["ignores-sigterm.sh"]);
    const first = box.stop(600_000);
    const second = box.stop(600_000);
    await box.kill();
    await Promise.all([first, second]);
    await box.stop(10);
    expect(await box.ended).toEqual({ exitCode: null, signal: "SIGKILL", killedAfterTimeout: false, leaked: [] });
  });

  test("a second stop can shorten the grace", async () => {
    const box = await startReleased(probe, ["ignores-sigterm.sh"]);
    void box.stop(600_000);
    await box.stop(20);
    expect(await box.ended).toMatchObject({ killedAfterTimeout: true });
  });

  test("a stop that races with the leader's own exit ends with the leader's code", async () => {
    for (let round = 0; round < 10; round += 1) {
      const box = await startReleased(probe, ["/bin/sh", "-c", "trap '' TERM; echo ready; exit 9"]);
      await box.stop(5_000);
      expect(await box.ended).toEqual({ exitCode: 9, signal: null, killedAfterTimeout: false, leaked: [] });
    }
  });

  test("a box gets descriptors 0, 1 and 2 and nothing else", async () => {
    const show = 'for fd in /proc/$$/fd/*; do [ -L "$fd" ] && echo "${fd##*/}"; done; read -r line || echo empty';
    const box = await startReleased(probe, ["/bin/sh", "-c", show], 0);
    await box.ended;
    const fds = (await outputOf(box)).trim().split("\n");
    // Descriptors above 9 can only be those that this test runner itself inherited: Core closes its own at its start.
    expect(fds.filter((fd) => !(Number(fd) > 9))).toEqual(["0", "1", "2", "empty"]);
  });

  test("standard output can be opened by path", async () => {
    const box = await startReleased(probe, ["writes-stdout-by-path.sh"], 0);
    expect(await box.ended).toMatchObject({ exitCode: 0 });
    expect((await outputOf(box)).split("\n").sort()).toEqual(["", "by path", "errors by path"]);
  });

  test("the last line of a burst before an immediate exit arrives", async () => {
    const box = await startReleased(probe, ["bursts-then-exits.sh"], 0);
    await box.ended;
    expect(await outputOf(box)).toMatch(/line 499\nlast line\n$/);
  });

  test("gives the agent the given environment and its run id", async () => {
    const box = await startReleased(probe, ["/usr/bin/env"], 0);
    await box.ended;
    const lines = (await outputOf(box)).trim().split("\n");
    expect(lines.filter((line) => !line.startsWith("PWD=")).sort()).toEqual([
      "A=1",
      `OPENSENTIENCE_RUN_ID=${box.marker}`,
      `PATH=${PATH}`,
    ]);
  });

  test("unread output makes the writer wait and Core's memory stay flat", async () => {
    const box = await start(probe, [process.execPath, join(programs, "floods.mjs")], { read: false });
    box.release();
    await pollUntil(() => box.stdout.readableLength > 0 && readProcess(box.pid)?.state === "S", SOON);
    expect(box.stdout.readableLength).toBeLessThanOrEqual(256 * 1024);
    await box.stop(5_000);
    expect(await box.ended).toMatchObject({ signal: "SIGTERM", killedAfterTimeout: false });
    box.stdout.destroy();
    box.stderr.destroy();
  });

  test("leaves strangers alone", async () => {
    const stranger = spawnProcess(["/bin/sleep", "1000"], { env: {}, stdio: "ignore" });
    const box = await startReleased(probe, ["children-ignore-sigterm.sh"], 3);
    await box.stop(0);
    expect(readProcess(stranger.pid ?? 0)?.state).toBe("S");
    stranger.kill("SIGKILL");
  });

  test("50 starts and ends leave no process, no descriptor and no file", async () => {
    const cycle = async (round: number): Promise<void> => {
      const box = await startReleased(probe, ["/bin/sh", "-c", "sleep 1000 & echo ready; wait"]);
      await (round % 2 === 0 ? box.kill() : box.stop(5_000));
      box.stdout.destroy();
      box.stderr.destroy();
    };
    await cycle(0);
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    await pollUntil(() => listDescendants(process.pid).length === 0, SOON);
    const before = descriptors();
    for (let round = 0; round < 50; round += 1) await cycle(round);
    await pollUntil(() => descriptors() <= before && listDescendants(process.pid).length === 0, SOON);
    expect(descriptors()).toBeLessThanOrEqual(before);
    expect(listDescendants(process.pid)).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith("pipe-"))).toEqual([]);
  });
});

describe("only with a PID namespace", () => {
  test("a tree that forks and moves to new sessions all the time is ended, which no scan of /proc could do", async () => {
    const box = await startReleased(namespace, ["forks-for-ever.py"]);
    const init = readProcess(box.pid)?.ppid ?? 0;
    await box.stop(50);
    expect(await box.ended).toMatchObject({ signal: "SIGKILL", killedAfterTimeout: true, leaked: [] });
    expect(listDescendants(init)).toEqual([]);
  });

  test("a daemon that clears its environment is ended too", async () => {
    const box = await startReleased(namespace, ["daemonizes.py", "clean-env"]);
    const init = readProcess(box.pid)?.ppid ?? 0;
    const members = listDescendants(init);
    expect(members.length).toBeGreaterThanOrEqual(2);
    await box.stop(50);
    expect(members.filter((info) => isAlive(info))).toEqual([]);
  });

  test("a member that signals its own group does not reach the wrapper", async () => {
    const box = await startReleased(namespace, ["signals-its-group.sh"]);
    await box.stop(5_000);
    expect(await box.ended).toEqual({ exitCode: 6, signal: null, killedAfterTimeout: false, leaked: [] });
  });

  test("the agent sees no process but its own", async () => {
    const box = await startReleased(namespace, ["/bin/sh", "-c", "cd /proc && echo [0-9]*"], 0);
    await box.ended;
    expect(await outputOf(box)).toBe("1 2\n");
  });

  test("a wrapper killed from outside takes the tree with it", async () => {
    const box = await startReleased(namespace, ["children-ignore-sigterm.sh"], 3);
    const init = readProcess(box.pid)?.ppid ?? 0;
    process.kill(readProcess(init)?.ppid ?? 0, "SIGKILL");
    expect(await box.ended).toMatchObject({ signal: "SIGKILL", leaked: [] });
    expect(survivors(box.marker)).toEqual([]);
  });

  test("a folder that vanished is an error with bubblewrap's words, and nothing is left", async () => {
    await expect(start(namespace, ["/bin/true"], { cwd: join(folder, "gone") })).rejects.toMatchObject({
      code: "launcher.start_failed",
      details: { reason: expect.stringContaining("chdir") },
    });
    await pollUntil(() => listDescendants(process.pid).length === 0, SOON);
    expect(listDescendants(process.pid)).toEqual([]);
  });
});

describe("kill -9 of Core", () => {
  async function parent(moment: string, argv: string[]) {
    const marker = `parent-${process.pid}-${(runs += 1)}`;
    const core = spawnProcess(
      [process.execPath, join(programs, "parent-of-a-box.mjs"), moment, marker, folder, ...argv],
      {
        env: { PATH },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    let text = "";
    core.stdout?.on("data", (chunk) => (text += String(chunk)));
    await pollUntil(() => text.includes(moment === "held" ? "started" : "ready"), SOON);
    const pid = Number(/"pid":(\d+)/.exec(text)?.[1]);
    return { core, marker, pid };
  }

  async function gone(marker: string): Promise<number[]> {
    await pollUntil(() => survivors(marker).length === 0, SOON);
    return survivors(marker);
  }

  test("kill -9 of Core before the release runs nothing", async () => {
    const trace = join(folder, "it-ran");
    const { core, marker } = await parent("held", ["/bin/sh", "-c", `echo ran > ${trace}`]);
    expect(survivors(marker).length).toBeGreaterThan(0);
    core.kill("SIGKILL");
    expect(await gone(marker)).toEqual([]);
    expect(readdirSync(folder)).not.toContain("it-ran");
  });

  test("kill -9 of Core ends a running tree that ignores everything", async () => {
    const { core, marker } = await parent("released", [join(programs, "daemonizes.py")]);
    expect(survivors(marker).length).toBeGreaterThan(2);
    core.kill("SIGKILL");
    expect(await gone(marker)).toEqual([]);
  });

  test("kill -9 of Core in the middle of a grace, with the wrapper stopped, ends the tree", async () => {
    const { core, marker, pid } = await parent("stopping", [join(programs, "ignores-sigterm.sh")]);
    const wrapper = readProcess(readProcess(pid)?.ppid ?? 0)?.ppid ?? 0;
    expect(await pollUntil(() => readProcess(wrapper)?.state === "T", SOON)).toBe(true);
    core.kill("SIGKILL");
    expect(await gone(marker)).toEqual([]);
    expect(readProcess(wrapper)?.state ?? "Z").toBe("Z");
  });
});
