/** What a box of git shows, as the whole vector, and that nothing runs in it without one. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { group, namespace } from "../../../../tests/support/boxes.ts";
import { boxVector } from "./box-vector.ts";
import { boxFlags } from "./bubblewrap.ts";
import { gitPolicy, runBoxedTool, shownAs } from "./sandbox.ts";
import type { SystemView } from "./system-view.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "git-policy-")));
afterAll(() => rmSync(root, { recursive: true }));
const VIEW: SystemView = {
  folders: [],
  links: [],
  files: [],
  networkFiles: [{ path: "/etc/resolv.conf", source: "/var/resolv.conf" }],
  procMasked: ["/proc/keys"],
  kernelReadOnly: ["/sys"],
};
const GIT = {
  repository: "/core/agents/a/repo.git",
  writes: false,
  hasWayOut: false,
  toolPath: "/usr/bin",
  program: "/usr/bin/git",
  core: { operatorHome: "/home/u", own: ["/core"] },
};

/** What the box shows of this machine, and what it hides in that. */
function shown(policy: ReturnType<typeof gitPolicy>): string[] {
  const lines = boxVector(policy, "/", VIEW, { disableUserns: true, bindFd: false })
    .join(" ")
    .split(/ (?=--)/);
  return lines.filter(
    (line) => /^--(ro-)?bind \/|^--tmpfs|net$/.test(line) && !/ \/(proc|dev)|tmpfs \/tmp$/.test(line),
  );
}

test("a call of git sees its repository, to write only where it writes, and has no network", () => {
  expect(shown(gitPolicy(GIT))).toEqual(["--unshare-net", "--ro-bind /core/agents/a/repo.git /core/agents/a/repo.git"]);
  expect(shown(gitPolicy({ ...GIT, writes: true }))).toEqual([
    "--unshare-net",
    "--bind /core/agents/a/repo.git /core/agents/a/repo.git",
  ]);
  // A way out is made inside by Core's own Node, and the network stays empty.
  expect(shown(gitPolicy({ ...GIT, hasWayOut: true }))[0]).toBe("--unshare-net");
});

test("of a local source only its repository is shown, and nothing of Core's inside it", () => {
  const whole = join(root, "whole");
  const bare = join(root, "bare");
  mkdirSync(join(whole, ".git"), { recursive: true });
  mkdirSync(join(bare, "core"), { recursive: true });
  expect(shown(gitPolicy({ ...GIT, source: whole }))).toContain(`--ro-bind ${whole}/.git ${whole}/.git`);
  const policy = gitPolicy({ ...GIT, source: bare, core: { operatorHome: "/", own: [join(bare, "core")] } });
  expect(shown(policy)).toEqual([
    "--unshare-net",
    `--ro-bind ${bare} ${bare}`,
    `--tmpfs ${bare}/core`,
    "--ro-bind /core/agents/a/repo.git /core/agents/a/repo.git",
  ]);
  expect(gitPolicy({ ...GIT, source: join(root, "nowhere") }).granted).toEqual([]);
});

test("what ssh needs is shown at places of its own, where it is there", () => {
  writeFileSync(join(root, "known_hosts"), "");
  const place = shownAs("/etc/ssh/known_hosts", join(root, "known_hosts"));
  expect(shown(gitPolicy({ ...GIT, own: place === undefined ? [] : [place] }))).toContain(
    `--ro-bind ${root}/known_hosts /etc/ssh/known_hosts`,
  );
  expect(shownAs("/x", root)).toBeUndefined();
  expect(shownAs("/x", join(root, "nowhere"))).toBeUndefined();
});

test("a tool is never run without its policy", async () => {
  const options = { policy: gitPolicy(GIT), cwd: "/", env: {}, timeoutMs: 1_000, maxBytes: 10 };
  const { features: _features, ...treeOnly } = namespace;
  for (const probe of [group, treeOnly])
    await expect(runBoxedTool(["/bin/true"], { ...options, probe })).rejects.toMatchObject({
      code: "sandbox.required",
    });
});

test("a box without a policy leaves everything open but the kernel's settings", () => {
  expect(
    boxFlags("/work", VIEW)
      .join(" ")
      .split(/ (?=--)/),
  ).toEqual([
    "--dev-bind / /",
    "--unshare-pid",
    "--proc /proc",
    "--ro-bind /sys /sys",
    "--ro-bind /dev/null /proc/keys",
    "--remount-ro /proc",
    "--die-with-parent",
    "--new-session",
    "--cap-drop ALL",
    "--chdir /work",
  ]);
});
