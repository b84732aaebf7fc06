/**
 * A policy as bubblewrap's argument vector: pure, with golden tests. What is not in the vector is not in the box.
 *
 * Order is meaning: a later mount lies over an earlier one. The system first, then the box's own /proc, /dev and /tmp,
 * then what was granted, then empty folders over Core's own, then what the box is for, and last everything that
 * bubblewrap made itself turned read-only.
 */
import { TMP_BYTES, type BoxNetwork, type BoxPolicy, type Place } from "./policy.ts";
import type { SystemView } from "./system-view.ts";

/**
 * Descriptors that bubblewrap reads and closes. Before them stand the go byte (3), bubblewrap's own report (4) and the
 * socket pair of a way out (5). One that it does not read in every box has one digit, for the shim to close.
 */
export const BOX_FDS = { hosts: 6, seccomp: 7, passwd: 8, group: 9, nsswitch: 10, firstGrant: 11 } as const;

/** What this machine's bubblewrap can do, found by trying. */
export type BoxFeatures = {
  /** Nested user namespaces can be switched off inside. */
  disableUserns: boolean;
  /** Places can be handed over as open descriptors, so that no link can take their place. */
  bindFd: boolean;
};

/**
 * SECURITY: an agent of an ordinary user could write into its init's memory through /proc/1/mem, have it forget that it
 * dies with Core, and outlive it; pinned by "nothing in /proc can be opened for writing". bubblewrap leaves /proc/sys open where its
 * own check is denied, so the uid of root could set kernel.core_pattern and run a program outside; pinned by "a box of
 * root cannot change a kernel setting".
 */
export const PROC_READ_ONLY: readonly string[] = ["--remount-ro", "/proc"];

/**
 * SECURITY: --new-session keeps the agent's `kill 0` from reaching the outer bwrap and a terminal out of reach; pinned by
 * "a member that signals its own group does not reach the wrapper".
 * SECURITY: --unshare-user before --cap-drop: as root too the agent holds no capability in any namespace that owns
 * something; pinned by "a box of root holds no capability and cannot make a namespace".
 * The environment is the spawn's own and never --setenv, because everybody can read an argument vector.
 */
export function boxVector(policy: BoxPolicy, cwd: string, view: SystemView, features: BoxFeatures): string[] {
  return [
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-uts",
    "--unshare-cgroup-try",
    ...(policy.network === "open" ? [] : ["--unshare-net"]),
    ...(features.disableUserns ? ["--disable-userns"] : []),
    "--cap-drop",
    "ALL",
    "--die-with-parent",
    "--new-session",
    "--hostname",
    "agent",
    ...system(view, policy.network),
    ...["--proc", "/proc"],
    ...view.procMasked.flatMap((path) => ["--ro-bind", "/dev/null", path]),
    ...PROC_READ_ONLY,
    ...["--dev", "/dev", "--size", String(TMP_BYTES), "--perms", "1777", "--tmpfs", "/dev/shm"],
    ...["--size", String(TMP_BYTES), "--perms", "1777", "--tmpfs", "/tmp"],
    ...policy.tools.flatMap((path) => ["--ro-bind", path, path]),
    ...policy.granted.flatMap((place, index) => granted(place, BOX_FDS.firstGrant + index, features)),
    ...policy.hidden.flatMap((path) => ["--size", "4096", "--perms", "0755", "--tmpfs", path]),
    ...policy.own.flatMap((place) => [place.write ? "--bind" : "--ro-bind", place.source, place.path]),
    ...policy.hidden.flatMap((path) => ["--remount-ro", path]),
    ...["--remount-ro", "/dev", "--remount-ro", "/"],
    ...["--seccomp", String(BOX_FDS.seccomp)],
    ...["--chdir", cwd],
  ];
}

function system(view: SystemView, network: BoxNetwork): string[] {
  const files = network === "open" ? [...view.files, ...view.networkFiles] : view.files;
  return [
    ...view.folders.flatMap((path) => ["--ro-bind", path, path]),
    ...view.links.flatMap(({ path, target }) => ["--symlink", target, path]),
    ...files.flatMap(({ path, source }) => ["--ro-bind", source, path]),
    ...madeUp(BOX_FDS.passwd, "/etc/passwd"),
    ...madeUp(BOX_FDS.group, "/etc/group"),
    ...madeUp(BOX_FDS.nsswitch, "/etc/nsswitch.conf"),
    ...(network === "open" ? [] : madeUp(BOX_FDS.hosts, "/etc/hosts")),
  ];
}

/** A file in the box's own root, which is read-only in the end, and not a mount: each costs a start a third of a millisecond. */
function madeUp(fd: number, path: string): string[] {
  return ["--perms", "0644", "--file", String(fd), path];
}

function granted(place: Place, fd: number, features: BoxFeatures): string[] {
  const mode = place.write ? "--bind" : "--ro-bind";
  return features.bindFd ? [`${mode}-fd`, String(fd), place.path] : [mode, place.source, place.path];
}
