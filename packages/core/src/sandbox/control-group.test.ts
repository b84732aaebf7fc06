/** Control groups: the texts of the kernel as files, then the real ones where this machine lets Core make some. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { spawnProcess, whenExited } from "../host/child-process.ts";
import { pollUntil } from "../host/process-tree.ts";
import { countIn, layoutOf, limitWrites } from "./control-group-layout.ts";
import { joinGroup, openControlGroups, openGroupsIn } from "./control-group.ts";

describe("where a process stands", () => {
  test("in a service of version 2", () => {
    const mounts = "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const group = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/core.service\n";
    expect(layoutOf(group, mounts)).toEqual({
      unified: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/core.service",
      legacy: {},
    });
  });

  test("in a container that sees a part of the tree", () => {
    const mounts = "35 25 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    expect(layoutOf("0::/docker/abc\n", mounts)).toEqual({ unified: "/sys/fs/cgroup", legacy: {} });
    expect(layoutOf("0::/docker/abc/x\n", mounts)).toEqual({ unified: "/sys/fs/cgroup/x", legacy: {} });
    expect(layoutOf("0::/\n", mounts)).toEqual({ unified: "/sys/fs/cgroup", legacy: {} });
  });

  test("in the trees of version 1, with version 2 beside them", () => {
    const mounts = [
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
      "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "34 31 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
      "35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ].join("\n");
    expect(layoutOf("9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/\n", mounts)).toEqual({
      unified: "/sys/fs/cgroup/unified",
      legacy: { pids: "/sys/fs/cgroup/pids", memory: "/sys/fs/cgroup/memory/a/b", cpu: "/sys/fs/cgroup/cpu,cpuacct/c" },
    });
    expect(layoutOf("", mounts)).toEqual({ legacy: {} });
  });
});

test("a limit as the kernel reads it", () => {
  const limits = { memoryBytes: 268_435_456, pids: 64, cpuMillis: 250 };
  expect(limitWrites(2, "memory", limits)).toEqual([
    { file: "memory.max", text: "268435456" },
    { file: "memory.swap.max", text: "0" },
    { file: "memory.oom.group", text: "1" },
  ]);
  expect(limitWrites(2, "pids", limits)).toEqual([{ file: "pids.max", text: "64" }]);
  expect(limitWrites(2, "cpu", limits)).toEqual([{ file: "cpu.max", text: "25000 100000" }]);
  expect(limitWrites(2, "cpu", { cpuMillis: 2_000 })).toEqual([{ file: "cpu.max", text: "200000 100000" }]);
  // The kernel takes no less than a millisecond.
  expect(limitWrites(2, "cpu", { cpuMillis: 1 })).toEqual([{ file: "cpu.max", text: "1000 100000" }]);
  expect(limitWrites(1, "memory", limits)).toEqual([
    { file: "memory.limit_in_bytes", text: "268435456" },
    { file: "memory.memsw.limit_in_bytes", text: "268435456" },
  ]);
  expect(limitWrites(1, "cpu", limits)).toEqual([
    { file: "cpu.cfs_quota_us", text: "25000" },
    { file: "cpu.cfs_period_us", text: "100000" },
  ]);
  for (const controller of ["memory", "pids", "cpu"] as const) expect(limitWrites(2, controller, {})).toEqual([]);
  expect([countIn("low 0\noom_kill 3\n", "oom_kill"), countIn("max 2\n", "max"), countIn("", "max")]).toEqual([
    3, 2, 0,
  ]);
});

/** A folder with the files that the kernel would have there. */
function groupFolder(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "os-groups-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

describe("a delegated subtree of version 2, as files", () => {
  const FILES = { "cgroup.type": "domain\n", "cgroup.controllers": "cpuset cpu memory pids\n", "cgroup.procs": "" };

  test("Core moves one group down, and runs get groups beside it", () => {
    // A file keeps the last write only; the kernel keeps every controller.
    const own = groupFolder({ ...FILES, "cgroup.subtree_control": "" });
    expect(openGroupsIn({ unified: own, legacy: {} })).toEqual({
      memory: { reason: "the memory controller is not delegated to Core" },
      pids: { reason: "the pids controller is not delegated to Core" },
      cpu: { reason: "the cpu controller is not delegated to Core" },
    });
    expect(readFileSync(join(own, "cgroup.subtree_control"), "utf8")).toBe("+pids");
    expect(readFileSync(join(own, "opensentience-core/cgroup.procs"), "utf8")).toBe(String(process.pid));
    const parent = { version: 2 as const, folder: own };
    const group = joinGroup({ memory: parent, pids: parent, cpu: parent }, "1", { pids: 9, cpuMillis: 500 }, [11, 12]);
    expect(group.held).toEqual({ pids: true, cpu: true });
    const folder = join(own, `opensentience-run-${process.pid}-1`);
    expect(readdirSync(folder).sort()).toEqual(["cgroup.procs", "cpu.max", "pids.max"]);
    expect(readFileSync(join(folder, "cpu.max"), "utf8")).toBe("50000 100000");
    expect(readFileSync(join(folder, "cgroup.procs"), "utf8")).toBe("12");
    expect(group.hits()).toEqual([]);
    writeFileSync(join(folder, "pids.events"), "max 4\n");
    expect(group.hits()).toEqual(["pids"]);
  });

  test("what the run has in memory is the group's count without what was only read, where the group holds it", () => {
    const own = groupFolder({ x: "" });
    const parent = { version: 2 as const, folder: own };
    const none = { reason: "why" };
    const group = joinGroup({ memory: parent, pids: none, cpu: none }, "1", { memoryBytes: 2 ** 28 }, []);
    const folder = join(own, `opensentience-run-${process.pid}-1`);
    expect(group.memoryBytes()).toBeUndefined();
    writeFileSync(join(folder, "memory.current"), "1000\n");
    writeFileSync(join(folder, "memory.stat"), "anon 100\ninactive_file 300\nactive_file 5\n");
    expect(group.memoryBytes()).toBe(700);
    const free = joinGroup({ memory: none, pids: none, cpu: none }, "2", { memoryBytes: 2 ** 28 }, []);
    expect(free.memoryBytes()).toBeUndefined();
  });

  test("a Core that was started by an earlier one does not move further down", () => {
    const own = groupFolder({ ...FILES, "cgroup.subtree_control": "" });
    mkdirSync(join(own, "opensentience-core"));
    openGroupsIn({ unified: join(own, "opensentience-core"), legacy: {} });
    expect(readdirSync(join(own, "opensentience-core"))).toEqual(["cgroup.procs"]);
  });

  test("without a controller, and without the right to make a group, the reason is told", () => {
    const bare = groupFolder({ "cgroup.type": "domain\n", "cgroup.controllers": "hugetlb\n" });
    const nothing = { reason: "no controller of control groups is delegated to Core" };
    expect(openGroupsIn({ unified: bare, legacy: {} })).toEqual({ memory: nothing, pids: nothing, cpu: nothing });
    expect(readdirSync(bare)).not.toContain("opensentience-core");
    const taken = groupFolder({ ...FILES, "opensentience-core": "in the way" });
    expect(openGroupsIn({ unified: taken, legacy: {} }).pids).toEqual({
      reason: expect.stringMatching(/^Core may not make control groups \(E/),
    });
  });

  test("a limit that was not taken is called advisory", () => {
    const parent = { version: 2 as const, folder: join(groupFolder({ x: "" }), "x") };
    const { held } = joinGroup(
      { memory: parent, pids: parent, cpu: { reason: "why" } },
      "1",
      { pids: 9, cpuMillis: 1 },
      [],
    );
    expect(held).toEqual({ pids: "it could not be set (ENOTDIR)", cpu: "why" });
  });
});

test("the real groups of this machine hold a fork bomb, where Core may make one", async () => {
  const home = openControlGroups();
  const mayMake = "folder" in home.pids;
  const child = spawnProcess(["/bin/sh", "-c", "read _; for i in $(seq 200); do sleep 97531 & done; echo done; wait"], {
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = whenExited(child);
  const group = joinGroup(home, "test", { pids: 20 }, [child.pid ?? 0]);
  const folder = "folder" in home.pids ? join(home.pids.folder, `opensentience-run-${process.pid}-test`) : "";
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (said += String(chunk)));
  try {
    // Where Core may not, nothing is claimed.
    expect(group.held).toEqual({ pids: mayMake ? true : expect.any(String) });
    if (!mayMake) return;
    child.stdin?.end("\n");
    await pollUntil(() => group.hits().length > 0 || said.includes("done"), { everyMs: 5, timeoutMs: 10_000 });
    expect(group.hits()).toEqual(["pids"]);
    expect(readFileSync(join(folder, "cgroup.procs"), "utf8").trim().split("\n").length).toBeLessThanOrEqual(20);
  } finally {
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await ended;
    await group.remove();
  }
  expect(existsSync(folder)).toBe(false);
});
