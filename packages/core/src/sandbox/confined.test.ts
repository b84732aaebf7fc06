/** Boxes with a policy: what is there, what is not, and that the tree is still held. */
import { once } from "node:events";
import { mkdirSync, readdirSync, readlinkSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  folder as temporary,
  group,
  namespace,
  newMarker,
  outputOf,
  PATH,
  programs,
  SOON,
  start,
  type TestBox,
} from "../../../../tests/support/boxes.ts";
import { times } from "../../../../tests/support/counts.ts";
import { spawnProcess, whenExited } from "../host/child-process.ts";
import { pollUntil } from "../host/process-tree.ts";
import { runPolicy, startBoxed, type BoxPolicy } from "./sandbox.ts";

vi.setConfig({ testTimeout: 60_000 });

const root = realpathSync(temporary);
const home = join(root, "home");
const core = join(home, ".core");
const own = { source: join(core, "agent/src"), data: join(core, "agent/data"), socket: join(core, "run/x") };
for (const path of [own.source, own.data, own.socket, join(core, "state"), join(core, "other")])
  mkdirSync(path, { recursive: true });
writeFileSync(join(core, "state/secret"), "secret");
writeFileSync(join(own.source, "program"), "here");

async function policyFor(approvedPermissions: string[], changes: Partial<BoxPolicy> = {}): Promise<BoxPolicy> {
  const policy = await runPolicy({
    approvedPermissions,
    source: own.source,
    data: own.data,
    socketFolder: own.socket,
    toolPath: PATH,
    program: "/bin/sh",
    network: "open",
    limits: {},
    core: { operatorHome: home, own: [core] },
  });
  return { ...policy, ...changes };
}

/** Runs a shell script inside; the output and how it ended. */
async function inside(script: string, permissions: string[] = [], changes: Partial<BoxPolicy> = {}): Promise<string> {
  const box = await boxOf(script, permissions, changes);
  box.release();
  await box.ended;
  return outputOf(box);
}

async function boxOf(script: string, permissions: string[], changes: Partial<BoxPolicy> = {}): Promise<TestBox> {
  const policy = await policyFor(permissions, changes);
  return start(namespace, ["/bin/sh", "-c", script], { policy, cwd: own.source });
}

test("the probe finds a sandbox here", () => {
  expect(namespace.features).toBeDefined();
});

test("a policy is never dropped", async () => {
  const policy = await policyFor([]);
  const options = { argv: ["/bin/true"], cwd: "/", env: {}, pipeFolder: root, marker: newMarker(), policy };
  const { features: _features, ...treeOnly } = namespace;
  for (const probe of [group, treeOnly])
    await expect(startBoxed({ ...options, probe })).rejects.toMatchObject({ code: "sandbox.required" });
});

test("shows the agent's own folders, the system, and nothing else", async () => {
  const seen = await inside(
    `cat program; echo; echo x > ${own.data}/f && echo data; echo x > ${own.source}/f || echo source is fixed
     ls ${core} ${core}/agent; ls ${home}; ls /root /home /var /opt /srv 2>&1; ls /`,
  );
  expect(seen).toContain("here\ndata\n");
  expect(seen).toContain("source is fixed");
  expect(seen).not.toMatch(/state|other|secret/);
  expect(seen).toContain("cannot access '/root'");
});

test("of /etc there is only what programs need", async () => {
  const names = (await inside("ls -A /etc /etc/ssl; cat /etc/passwd")).split("\n");
  for (const name of ["shadow", "gshadow", "ssh", "private", "sudoers", "resolv.conf"])
    expect(names).not.toContain(name);
  expect(names).toContain("ld.so.cache");
});

test("a box of root holds no capability and cannot make a namespace", async () => {
  const seen = await inside(
    "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; unshare -U true; unshare -m true; mount -t tmpfs x /tmp; echo end",
  );
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
    expect(seen).toMatch(new RegExp(`^${set}:\\s*0+$`, "m"));
  expect(seen).toMatch(/^NoNewPrivs:\s*1$/m);
  expect(seen).toMatch(/^Seccomp:\s*2$/m);
  expect(seen.match(/unshare failed: Operation not permitted/g)).toHaveLength(2);
});

test("a box of root cannot change a kernel setting", async () => {
  const seen = await inside(
    "for f in kernel/core_pattern kernel/hostname vm/drop_caches; do echo x > /proc/sys/$f || echo refused; done",
  );
  expect(seen.match(/refused\n/g)).toHaveLength(3);
});

test("nothing in /proc can be opened for writing", async () => {
  const seen = await inside(
    "for f in 1/mem self/mem 1/oom_score_adj self/comm sys/kernel/sem; do (exec 3<>/proc/$f) && echo opened || echo refused; done",
  );
  expect(seen.match(/refused\n/g)).toHaveLength(5);
  expect(seen).not.toContain("opened");
});

test("what bubblewrap made itself cannot be written to, and /tmp is bounded", async () => {
  const seen = await inside(
    `for f in /x /etc/x /etc/passwd /etc/hosts /dev/x /usr/x; do echo > $f || echo refused; done
     head -c 300000000 /dev/zero > /tmp/big || echo full`,
  );
  expect(seen.match(/refused\n/g)).toHaveLength(6);
  expect(seen).toContain("full");
});

test("there is no network, and with an approval there is", async () => {
  const show = "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' \\n'; ls /etc/resolv.conf 2>/dev/null";
  expect(await inside(show)).toBe("lo");
  expect(await inside(show, ["network:egress:example.com"])).not.toBe("lo");
});

test("gets descriptors 0, 1 and 2 and nothing else, with granted places too", async () => {
  writeFileSync(join(home, "a.txt"), "a");
  const show = "ls -l /proc/self/fd | grep -v 'total\\|/proc/' | sed 's/.* \\([0-9]*\\) -> .*/\\1/'";
  const seen = (await inside(show, ["filesystem:read:~/a.txt"])).trim().split("\n");
  // Higher ones can only be those that this test runner inherited.
  expect(seen.filter((fd) => Number(fd) < 20)).toEqual(["0", "1", "2"]);
});

test("a granted folder is there and Core's own in it is not", async () => {
  mkdirSync(join(home, "notes"), { recursive: true });
  writeFileSync(join(home, "notes/n.txt"), "note");
  const seen = await inside(
    `cat ${home}/notes/n.txt; echo; ls -A ${core}; cat ${core}/state/secret; echo > ${home}/x || echo refused; cat program`,
    ["filesystem:read:~/**"],
  );
  expect(seen).toContain("note\n");
  expect(seen).toContain("agent\nrun\n");
  expect(seen).not.toMatch(/^state|^other|secret\n/m);
  expect(seen).toContain("refused");
  expect(seen).toMatch(/here$/m);
});

test("a folder to write with Core's own deep in it is refused", async () => {
  await expect(policyFor([`filesystem:write:${root}/**`])).rejects.toMatchObject({
    code: "sandbox.path_forbidden",
    details: { path: root, own: core },
  });
  expect((await policyFor([`filesystem:read:${root}/**`])).hidden).toEqual([core]);
  // What would have to be renamed is the place itself, and that is a mount.
  expect((await policyFor(["filesystem:write:~/**"])).hidden).toEqual([core]);
  const seen = await inside(`mv ${home} ${root}/other || echo held; mv ${core} ${home}/other || echo held`, [
    "filesystem:write:~/**",
  ]);
  expect(seen.match(/held\n/g)).toHaveLength(2);
});

test("Core's own is hidden behind a link of root's too", async () => {
  expect(readlinkSync("/lib")).toBe("usr/lib");
  const policy = await runPolicy({
    approvedPermissions: ["filesystem:write:/lib/**"],
    source: own.source,
    data: own.data,
    socketFolder: own.socket,
    toolPath: PATH,
    program: "/bin/sh",
    network: "none",
    limits: {},
    core: { operatorHome: home, own: ["/usr/lib/of-core"] },
  });
  expect(policy.granted).toMatchObject([{ path: "/lib", source: "/usr/lib" }]);
  expect(policy.hidden).toEqual(["/lib/of-core"]);
});

test("no permission opens Core's own folders, /proc or /dev", async () => {
  for (const pattern of ["~/.core/**", "~/.core/state/secret", "/proc/1/**", "/dev/**", "/**", "/*/**", "~/.core"])
    await expect(policyFor([`filesystem:read:${pattern}`])).rejects.toMatchObject({ code: "sandbox.path_forbidden" });
  // The same in every /proc, so there already.
  expect((await policyFor(["filesystem:read:/proc/meminfo"])).granted).toEqual([]);
});

test("a link in the path of a permission is refused", async () => {
  mkdirSync(join(home, "w"), { recursive: true });
  symlinkSync(join(core, "state"), join(home, "w/link"));
  symlinkSync("/nowhere", join(home, "w/dangling"));
  for (const permission of ["read:~/w/link/**", "read:~/w/link/secret", "write:~/w/link/*", "write:~/w/dangling/**"])
    await expect(policyFor([`filesystem:${permission}`])).rejects.toMatchObject({ code: "sandbox.path_is_link" });
});

test("a place that became a link since it was judged is refused", async () => {
  mkdirSync(join(home, "swap"), { recursive: true });
  const policy = await policyFor(["filesystem:read:~/swap/**"]);
  const [place] = policy.granted;
  const linked = join(home, "swapped");
  symlinkSync(join(core, "state"), linked);
  const moved = { ...policy, granted: [{ ...place!, source: linked }] };
  await expect(start(namespace, ["/bin/true"], { policy: moved, cwd: own.source })).rejects.toMatchObject({
    code: "sandbox.path_is_link",
  });
});

test("a folder that is swapped for a link all the time is never followed, and every refusal says that it changed", async () => {
  const [swapped, evil] = [join(home, "swaps"), join(root, "evil")];
  for (const path of [swapped, evil]) {
    mkdirSync(join(path, "in"), { recursive: true });
    writeFileSync(join(path, "in/file"), path === evil ? "not approved" : "approved");
  }
  const swapper = spawnProcess([join(programs, "swap-for-link.py"), swapped, evil], {
    env: {},
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = whenExited(swapper);
  onTestFinished(() => void swapper.stdin?.end());
  await once(swapper.stdout as Readable, "data");
  const seen = { refused: 0, shown: 0, started: 0 };
  const attempt = async (pattern: string): Promise<void> => {
    const policy = await policyFor([`filesystem:read:~/swaps/${pattern}`]);
    for (const { source } of policy.granted) expect(source).not.toContain(evil);
    seen.shown += policy.granted.length;
    if (policy.granted.length === 0 || seen.started >= times({ suite: 60, soak: 1_000 })) return;
    seen.started += 1;
    const box = await start(namespace, ["/bin/cat", join(swapped, "in/file")], { policy, cwd: own.source });
    box.release();
    await box.ended;
    expect(await outputOf(box)).toMatch(/^approved$|No such file/);
  };
  for (let round = 0; round < times({ suite: 3_000, soak: 50_000 }); round += 1) {
    await attempt(["**", "in/**", "in/file"][round % 3] as string).catch((error: { code?: string }) => {
      if (error.code !== "sandbox.path_is_link") throw error;
      seen.refused += 1;
    });
  }
  swapper.stdin?.end();
  await exited;
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});

test("a folder named without what is in it is refused, and what does not exist is not shown", async () => {
  mkdirSync(join(home, "plain"), { recursive: true });
  await expect(policyFor(["filesystem:read:~/plain"])).rejects.toMatchObject({ code: "sandbox.path_inexpressible" });
  expect((await policyFor(["filesystem:read:~/missing/**", "filesystem:read:~/missing.txt"])).granted).toEqual([]);
});

test("what may be written and is not there is made", async () => {
  const permissions = ["filesystem:write:~/reports/**", "filesystem:write:~/out.txt", "filesystem:write:~/no/where/**"];
  const seen = await inside(
    `echo 1 > ${home}/reports/r && echo made; echo 2 > ${home}/out.txt && echo made; ls ${home}/no`,
    permissions,
  );
  expect(seen.match(/made/g)).toHaveLength(2);
  expect(readdirSync(join(home, "reports"))).toEqual(["r"]);
});

test("limits are held by the kernel", async () => {
  const seen = await inside(`head -c 2000000 /dev/zero > ${own.data}/big; echo $?; ulimit -d`, [], {
    limits: { fileBytes: 1_000_000, memoryBytes: 64 * 1024 * 1024 },
  });
  expect(seen).toMatch(/153|File size limit exceeded/);
  expect(seen).toMatch(/65536\n$/);
});

test("stops with grace, and a tree that ignores it is ended", async () => {
  const box = await boxOf("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done", []);
  box.release();
  await pollUntil(() => box.output() !== "", SOON);
  await box.stop(5_000);
  expect(await box.ended).toEqual({ exitCode: 7, signal: null, killedAfterTimeout: false, leaked: [] });
  const stubborn = await boxOf("trap '' TERM; setsid sleep 1000 & echo ready; while :; do sleep 0.05; done", []);
  stubborn.release();
  await pollUntil(() => stubborn.output() !== "", SOON);
  await stubborn.stop(50);
  expect(await stubborn.ended).toMatchObject({ killedAfterTimeout: true, leaked: [] });
});
