/** The argument vector, whole: what stands here is what a box is. */
import { expect, test } from "vitest";
import { boxVector } from "./box-vector.ts";
import type { BoxPolicy, Place } from "./policy.ts";
import type { SystemView } from "./system-view.ts";

const VIEW: SystemView = {
  folders: ["/usr"],
  links: [{ path: "/bin", target: "usr/bin" }],
  files: [{ path: "/etc/localtime", source: "/usr/share/zoneinfo/UTC" }],
  networkFiles: [{ path: "/etc/resolv.conf", source: "/var/resolv.conf" }],
  procMasked: ["/proc/keys"],
  kernelReadOnly: ["/sys"],
};
const ALL = { disableUserns: true, bindFd: true };
const place = (path: string, write: boolean, kind: Place["kind"] = "folder"): Place => ({
  path,
  source: path,
  write,
  kind,
});
const POLICY: BoxPolicy = {
  granted: [],
  hidden: [],
  own: [place("/core/a/src", false), place("/core/a/data", true), place("/core/run/1", false)],
  tools: ["/opt/node/bin"],
  network: "none",
  limits: {},
};

/** An option with its values per line, so that a difference can be read. */
function lines(vector: readonly string[]): string[] {
  return vector.join(" ").split(/ (?=--)/);
}

test("a run without a permission", () => {
  expect(lines(boxVector(POLICY, "/core/a/src", VIEW, ALL))).toEqual([
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--unshare-net",
    "--disable-userns",
    "--cap-drop ALL",
    "--die-with-parent",
    "--new-session",
    "--hostname agent",
    "--ro-bind /usr /usr",
    "--symlink usr/bin /bin",
    "--ro-bind /usr/share/zoneinfo/UTC /etc/localtime",
    "--perms 0644",
    "--file 8 /etc/passwd",
    "--perms 0644",
    "--file 9 /etc/group",
    "--perms 0644",
    "--file 10 /etc/nsswitch.conf",
    "--perms 0644",
    "--file 6 /etc/hosts",
    "--proc /proc",
    "--ro-bind /dev/null /proc/keys",
    "--remount-ro /proc",
    "--dev /dev",
    "--size 268435456",
    "--perms 1777",
    "--tmpfs /dev/shm",
    "--size 268435456",
    "--perms 1777",
    "--tmpfs /tmp",
    "--ro-bind /opt/node/bin /opt/node/bin",
    "--ro-bind /core/a/src /core/a/src",
    "--bind /core/a/data /core/a/data",
    "--ro-bind /core/run/1 /core/run/1",
    "--remount-ro /dev",
    "--remount-ro /",
    "--seccomp 7",
    "--chdir /core/a/src",
  ]);
});

test("granted places lie below Core's own, and Core's folders are hidden in them", () => {
  const policy = {
    ...POLICY,
    granted: [place("/home/u", false), place("/home/u/out", true), place("/home/u/f", true, "file")],
    hidden: ["/home/u/.core"],
  };
  const bare = new Set(
    boxVector(POLICY, "/", VIEW, ALL)
      .join(" ")
      .split(/ (?=--)/),
  );
  expect(lines(boxVector(policy, "/", VIEW, ALL)).filter((line) => !bare.has(line))).toEqual([
    "--ro-bind-fd 11 /home/u",
    "--bind-fd 12 /home/u/out",
    "--bind-fd 13 /home/u/f",
    "--size 4096",
    "--perms 0755",
    "--tmpfs /home/u/.core",
    "--remount-ro /home/u/.core",
  ]);
  const vector = boxVector(policy, "/", VIEW, ALL);
  expect(vector.indexOf("/home/u/.core")).toBeLessThan(vector.indexOf("/core/a/src"));
});

test("what a bubblewrap cannot do is left out or done by path", () => {
  const policy = { ...POLICY, granted: [{ ...place("/home/u", true), source: "/var/home/u" }] };
  const vector = lines(boxVector(policy, "/", VIEW, { disableUserns: false, bindFd: false }));
  expect(vector).toContain("--bind /var/home/u /home/u");
  expect(vector).not.toContain("--disable-userns");
});

test("only an open network shares that of the machine", () => {
  const open = lines(boxVector({ ...POLICY, network: "open" }, "/", VIEW, ALL));
  expect(open).not.toContain("--unshare-net");
  expect(open).toContain("--ro-bind /var/resolv.conf /etc/resolv.conf");
  expect(open.join()).not.toContain("/etc/hosts");
});
