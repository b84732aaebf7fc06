/** What every box sees of the system it runs on: programs, libraries and the few files of /etc that programs need. */
import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { isWithin } from "../host/paths.ts";

/** Read-only from the host. */
const FOLDERS = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/**
 * SECURITY: nothing of /etc that holds a secret or names who uses this machine (shadow, ssl/private, ssh, the real
 * passwd); pinned by "of /etc there is only what programs need".
 */
const ETC = [
  "/etc/ld.so.cache",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/tls/certs",
  "/etc/pki/ca-trust/extracted",
  "/etc/crypto-policies",
  "/etc/alternatives",
  "/etc/localtime",
];

/** For boxes that have the machine's own network: each costs a start a third of a millisecond. */
const ETC_NETWORK = ["/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf", "/etc/services", "/etc/protocols"];

/** What a /proc of its own still tells of the whole machine. */
const PROC_MASKED = ["/proc/keys", "/proc/key-users"];

/**
 * What the uid of root could read through /proc without any capability; for others their modes are enough. Each mount
 * costs a start a third of a millisecond, so nothing stands here that the kernel refuses by itself (kcore, kmsg).
 */
const PROC_ROOTS_MASKED = [
  "/proc/sysrq-trigger",
  "/proc/slabinfo",
  "/proc/vmallocinfo",
  "/proc/kpagecgroup",
  "/proc/kpagecount",
  "/proc/kpageflags",
];

/**
 * Where the uid of root sets the kernel up without /proc (uevent_helper, release_agent of control groups). Boxes with a
 * policy have no /sys.
 */
const KERNEL_READ_ONLY = ["/sys"];

export type SystemView = {
  folders: readonly string[];
  /** Into a folder that the box shows: /bin -> usr/bin, /etc/localtime. A link costs a start nothing. */
  links: readonly { path: string; target: string }[];
  files: readonly Found[];
  networkFiles: readonly Found[];
  procMasked: readonly string[];
  /** For boxes without a policy. */
  kernelReadOnly: readonly string[];
};

let known: SystemView | undefined;

/** Looked at once: what of the system is there does not change while Core runs. */
export function systemView(): SystemView {
  const isRoot = process.geteuid?.() === 0;
  if (known !== undefined) return known;
  const folders = FOLDERS.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
  const linked = FOLDERS.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true);
  const etc = found(ETC);
  const isInSystem = ({ source }: Found): boolean => folders.some((folder) => source.startsWith(`${folder}/`));
  known = {
    folders,
    links: [
      ...linked.map((path) => ({ path, target: readlinkSync(path) })),
      ...etc.filter(isInSystem).map(({ path, source }) => ({ path, target: source })),
    ],
    files: etc.filter((file) => !isInSystem(file)),
    networkFiles: found(ETC_NETWORK),
    procMasked: [...PROC_MASKED, ...(isRoot ? PROC_ROOTS_MASKED : [])].filter((path) => existsSync(path)),
    kernelReadOnly: (isRoot ? KERNEL_READ_ONLY : []).filter((path) => existsSync(path)),
  };
  return known;
}

type Found = { path: string; source: string };

/** A link (/etc/resolv.conf) may lead to a place that the box does not have. */
function found(paths: readonly string[]): Found[] {
  return paths.filter((path) => existsSync(path)).map((path) => ({ path, source: realpathSync(path) }));
}

/** True for a real path that every box can read anyway. */
export function isSystemPath(path: string): boolean {
  return systemView().folders.some((folder) => isWithin(path, folder));
}

/**
 * The folders of a search path that are not the system's: each itself and, where it is the `bin` of a toolchain, the
 * libraries beside it. Folders that do not exist are left out.
 */
export function toolFolders(pathVariable: string): string[] {
  const folders = pathVariable.split(":").flatMap((entry) => {
    if (!entry.startsWith("/")) return [];
    const beside = entry.endsWith("/bin") ? ["lib", "lib64", "libexec"].map((name) => join(entry, "..", name)) : [];
    return [entry, ...beside].filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
  });
  return [...new Set(folders)].filter((path) => path !== "/" && !isSystemPath(realpathSync(path)));
}

/** Small files of /etc that are made up for every box. */
export function etcFiles(): { passwd: string; group: string; nsswitch: string; hosts: string } {
  // Not userInfo(), which fails for a uid that has no name, as containers give out.
  const [uid = 0, gid = 0] = [process.geteuid?.(), process.getegid?.()];
  const isRoot = uid === 0;
  const nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  return {
    passwd: `root:x:0:0:root:/root:/bin/sh\n${isRoot ? "" : `agent:x:${uid}:${gid}:agent:/nonexistent:/bin/sh\n`}${nobody}`,
    group: `root:x:0:\n${gid === 0 ? "" : `agent:x:${gid}:\n`}nogroup:x:65534:\n`,
    nsswitch: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    hosts: "127.0.0.1 localhost\n::1 localhost\n",
  };
}
