/** What holds of one backend only, and what is left when Core itself is killed. */
import { once } from "node:events";
import { closeSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi, onTestFinished } from "vitest";
import {
  folder,
  group,
  namespace,
  newMarker,
  outputOf,
  PATH,
  programs,
  SOON,
  start,
  startReleased,
  survivors,
} from "../../../../tests/support/boxes.ts";
import { spawnProcess } from "../host/child-process.ts";
import { bootId, isAlive, listDescendants, pollUntil, readProcess } from "../host/process-tree.ts";
import { endLeftover, endUnrecorded } from "./sandbox.ts";

vi.setConfig({ testTimeout: 60_000 });

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

describe("a leftover of an earlier Core", () => {
  test("is ended with its children and strays", async () => {
    const box = await startReleased(group, ["daemonizes.py"]);
    const recorded = { pid: box.pid, pidStartTime: box.pidStartTime, bootId: box.bootId, marker: box.marker };
    const { found, leaked } = await endLeftover(recorded);
    // The one in the middle of the double fork may not have gone yet.
    expect([2, 3]).toContain(found);
    expect(leaked).toEqual([]);
    expect(survivors(box.marker)).toEqual([]);
    expect(await endLeftover(recorded)).toEqual({ found: 0, leaked: [] });
  });

  test("is found by its run's id when the recorded process is gone", async () => {
    const marker = `stray-${process.pid}`;
    const stray = spawnProcess(["/bin/sleep", "1000"], { env: { OPENSENTIENCE_RUN_ID: marker }, stdio: "ignore" });
    onTestFinished(() => void stray.kill("SIGKILL"));
    const pidStartTime = readProcess(stray.pid ?? 0)?.startTime ?? "";
    expect(await endLeftover({ pid: 999_999_999, pidStartTime, bootId: bootId(), marker })).toEqual({
      found: 1,
      leaked: [],
    });
  });

  test("is found by its run's id when no process was recorded, and nothing else is touched", async () => {
    const [marker, other] = [newMarker(), newMarker()];
    for (const id of [marker, other]) {
      const stray = spawnProcess(["/bin/sleep", "1000"], { env: { OPENSENTIENCE_RUN_ID: id }, stdio: "ignore" });
      onTestFinished(() => void stray.kill("SIGKILL"));
    }
    await pollUntil(() => survivors(marker).length + survivors(other).length === 2, SOON);
    expect(await endUnrecorded(marker)).toEqual({ found: 1, leaked: [] });
    expect([survivors(marker).length, survivors(other).length]).toEqual([0, 1]);
    expect(await endUnrecorded("no-such-run")).toEqual({ found: 0, leaked: [] });
  });

  test("a leftover's pid that went to a stranger is not touched", async () => {
    const stranger = spawnProcess(["/bin/sleep", "1000"], { env: {}, stdio: "ignore" });
    onTestFinished(() => void stranger.kill("SIGKILL"));
    const pid = stranger.pid ?? 0;
    const recorded = { pid, pidStartTime: "1", bootId: bootId(), marker: "none" };
    expect(await endLeftover(recorded)).toEqual({ found: 0, leaked: [] });
    const startTime = readProcess(pid)?.startTime ?? "";
    expect(await endLeftover({ ...recorded, pidStartTime: startTime, bootId: "another boot" })).toEqual({
      found: 0,
      leaked: [],
    });
    // It runs until it sleeps; ended or stopped it would never.
    expect(await pollUntil(() => readProcess(pid)?.state === "S", SOON)).toBe(true);
  });
});

describe.each(["sandbox", "pid_namespace"])("kill -9 of Core, its agent in a %s", (kind) => {
  async function parent(moment: string, argv: string[]) {
    const leak = openSync("/etc/hostname", "r");
    const marker = newMarker();
    const core = spawnProcess(
      [process.execPath, join(programs, "parent-of-a-box.mjs"), moment, kind, marker, folder, ...argv],
      {
        env: { PATH },
        // A parent that leaks an open file to Core, as careless shells and editors do: descriptor 20.
        stdio: ["ignore", "pipe", "inherit", ...Array.from({ length: 17 }, () => "ignore" as const), leak],
      },
    );
    closeSync(leak);
    let text = "";
    core.stdout?.on("data", (chunk) => (text += String(chunk)));
    if (moment !== "made") await pollUntil(() => text.includes(moment === "held" ? "started" : "ready"), SOON);
    const pid = Number(/"pid":(\d+)/.exec(text)?.[1]);
    return { core, marker, pid, text: () => text };
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

  test("kill -9 of Core before bubblewrap has asked to die with it leaves no bubblewrap that waits for ever", async () => {
    const trace = join(folder, "it-ran");
    const { core, marker } = await parent("made", ["/bin/sh", "-c", `echo ran > ${trace}`]);
    const halted = (): number | undefined => survivors(marker).find((pid) => readProcess(pid)?.state === "T");
    const bwrap = (await pollUntil(halted, SOON)) ?? 0;
    core.kill("SIGKILL");
    await once(core, "exit");
    process.kill(bwrap, "SIGCONT");
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

  test("a box gets descriptors 0, 1 and 2 and nothing else", async () => {
    const show = 'for fd in /proc/$$/fd/*; do [ -L "$fd" ] && echo "<${fd##*/}>"; done; echo ready';
    const { core, marker, text } = await parent("released", ["/bin/sh", "-c", show]);
    expect(text().match(/<\d+>/g)).toEqual(["<0>", "<1>", "<2>"]);
    core.kill("SIGKILL");
    expect(await gone(marker)).toEqual([]);
  });
});
