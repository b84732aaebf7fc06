/** Real boxes around real misbehaving programs, in both ways of holding a tree. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi, onTestFinished } from "vitest";
import {
  folder,
  group,
  namespace,
  outputOf,
  PATH,
  programs,
  SOON,
  start,
  startReleased,
  survivors,
} from "../../../../tests/support/boxes.ts";
import { descriptors } from "../../../../tests/support/descriptors.ts";
import { runTool, spawnProcess } from "../host/child-process.ts";
import { listDescendants, pollUntil, readProcess } from "../host/process-tree.ts";
import { boxPrefix, describeHeld, probeSandbox } from "./sandbox.ts";

/** What the kernel keeps of unread output. */
const PIPE_BYTES = 65_536;

function writtenBy(pid: number): number {
  return Number(/wchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
}

vi.setConfig({ testTimeout: 60_000 });

test("the probe runs a box here", () => {
  expect(namespace).toMatchObject({ backend: "bubblewrap", version: expect.stringMatching(/^\d+\.\d+/) });
});

test("the probe says why bubblewrap cannot be used", async () => {
  expect(await probeSandbox(join(folder, "nowhere"))).toMatchObject({
    backend: "process_group",
    reason: expect.stringContaining("is not on tools.path"),
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

test("nothing is called enforced but what a sandbox holds", () => {
  expect(describeHeld(namespace)).toMatchObject({ filesystem: "enforced", egress: "brokered", isolation: "sandbox" });
  const { features: _features, ...treeOnly } = namespace;
  for (const held of [describeHeld(namespace, false), describeHeld(treeOnly), describeHeld(group)]) {
    expect(held).toMatchObject({ filesystem: "advisory", egress: "advisory", tools: "brokered" });
    expect(held.sentence).toContain("nothing stops the agent");
  }
});

test("an agent of root has no capability and cannot unmount its /proc", async () => {
  const show =
    "grep -E '^(Cap|NoNewPrivs)' /proc/self/status; umount /proc 2>/dev/null; echo umount $?; ls /proc/1/status";
  const box = await startReleased(namespace, ["/bin/sh", "-c", show], 0);
  await box.ended;
  const shown = await outputOf(box);
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) expect(shown).toMatch(new RegExp(`^${set}:\\s*0+$`, "m"));
  expect(shown).toMatch(/^NoNewPrivs:\s*1$/m);
  expect(shown).toMatch(/^umount (1|32)\n\/proc\/1\/status$/m);
});

test("an open box of root cannot change a kernel setting", async () => {
  const settings = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/keys", "/sys/kernel/uevent_helper"];
  // Opened for writing and not written to: a box that fails this must not harm the machine it fails on.
  const tryAll = `for f in ${settings.join(" ")}; do (: >> $f) 2>/dev/null && [ ! -c $f ] && echo "open $f"; done; echo done`;
  const box = await startReleased(namespace, ["/bin/sh", "-c", tryAll], 0);
  await box.ended;
  expect(await outputOf(box)).toBe("done\n");
});

test("git and other trusted tools are boxed without capabilities too", async () => {
  const prefix = boxPrefix(namespace, "/");
  const limits = { cwd: "/", env: { PATH }, timeoutMs: 10_000, maxBytes: 4096 };
  const { stdout } = await runTool([...prefix, "/bin/grep", "CapEff", "/proc/self/status"], limits);
  expect(stdout.toString()).toMatch(/^CapEff:\s*0+\n$/);
});

describe.each([
  ["pid_namespace", namespace],
  ["process_group", group],
] as const)("a box held by %s", (isolation, probe) => {
  test("does nothing before the release and then becomes the recorded process", async () => {
    const box = await start(probe, ["/bin/sh", "-c", "echo ran; exec sleep 1000"]);
    expect(box.isolation).toBe(isolation);
    expect(await pollUntil(() => readProcess(box.pid)?.name === "sh", SOON)).toBe(true);
    expect(readProcess(box.pid)?.startTime).toBe(box.pidStartTime);
    expect(box.output()).toBe("");
    box.release();
    box.release();
    await pollUntil(() => readProcess(box.pid)?.name === "sleep", SOON);
    expect(readProcess(box.pid)?.startTime).toBe(box.pidStartTime);
    await pollUntil(() => box.output() !== "", SOON);
    expect(box.output()).toBe("ran\n");
    expect(box.usage()).toMatchObject({ processes: 1, memoryBytes: expect.any(Number) });
    expect(await pollUntil(() => box.usage().memoryBytes > 100_000, SOON)).toBe(true);
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
    const { outlivedLeader, ...end } = await box.ended;
    expect(end).toEqual({ exitCode: 0, signal: null, killedAfterTimeout: true, leaked: [] });
    expect(outlivedLeader).toBeGreaterThanOrEqual(3);
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

  test("the shim closes the descriptors it was given for itself", async () => {
    const show = 'for fd in /proc/$$/fd/*; do [ -L "$fd" ] && echo "${fd##*/}"; done; read -r line || echo empty';
    const box = await startReleased(probe, ["/bin/sh", "-c", show], 0);
    await box.ended;
    const fds = (await outputOf(box)).trim().split("\n");
    // Higher ones can only be those that this test runner inherited; Core closes such at its start (see below).
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
    await pollUntil(() => writtenBy(box.pid) >= PIPE_BYTES && readProcess(box.pid)?.state === "S", SOON);
    expect(box.stdout.readableLength).toBe(0);
    await box.stop(5_000);
    expect(await box.ended).toMatchObject({ signal: "SIGTERM", killedAfterTimeout: false });
    box.stdout.destroy();
    box.stderr.destroy();
  });

  test("leaves strangers alone", async () => {
    const stranger = spawnProcess(["/bin/sleep", "1000"], { env: {}, stdio: "ignore" });
    onTestFinished(() => void stranger.kill("SIGKILL"));
    const box = await startReleased(probe, ["children-ignore-sigterm.sh"], 3);
    await box.stop(0);
    expect(readProcess(stranger.pid ?? 0)?.state).toBe("S");
  });

  test("50 starts and ends leave no process, no descriptor and no file", async () => {
    const cycle = async (round: number): Promise<void> => {
      const box = await startReleased(probe, ["/bin/sh", "-c", "sleep 1000 & echo ready; wait"]);
      await (round % 2 === 0 ? box.kill() : box.stop(5_000));
      box.stdout.destroy();
      box.stderr.destroy();
    };
    await cycle(0);
    await pollUntil(() => listDescendants(process.pid).length === 0, SOON);
    const before = descriptors();
    for (let round = 0; round < 50; round += 1) await cycle(round);
    await pollUntil(() => descriptors() <= before && listDescendants(process.pid).length === 0, SOON);
    expect(descriptors()).toBeLessThanOrEqual(before);
    expect(listDescendants(process.pid)).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith("pipe-"))).toEqual([]);
  });
});
