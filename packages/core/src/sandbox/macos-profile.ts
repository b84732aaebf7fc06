/**
 * A policy as a profile of macOS's `sandbox-exec`, in its own language: pure, with golden tests.
 *
 * UNTESTED ON A MAC, and therefore used by nothing: a sandbox that nobody has tried to get out of would be called enforced
 * and might hold nothing. The probe still says that macOS has no sandbox. What remains to be done there: hostile programs in
 * it, the way out (there is no network of its own to listen in), and a tree that ends with Core (there is no PID namespace).
 *
 * The last rule that fits decides: everything is denied, then the system is allowed, then what was granted, then Core's
 * own folders are denied in it, then what the box is for is allowed. A profile speaks of real paths only.
 */
import { dirname } from "node:path";
import { CoreError } from "@opensentience/protocol";
import type { BoxPolicy, Place } from "./policy.ts";

/** Programs and libraries, read-only; `/System` and `/Library` hold what every program of macOS loads. */
const SYSTEM = [
  "/usr",
  "/bin",
  "/sbin",
  "/System",
  "/Library/Frameworks",
  "/private/var/db/dyld",
  "/private/var/db/timezone",
];
const SYSTEM_FILES = [
  "/dev/null",
  "/dev/zero",
  "/dev/random",
  "/dev/urandom",
  "/private/etc/localtime",
  "/private/etc/ssl",
];

/** Throws `sandbox.path_forbidden` for a path that the language cannot be trusted with. */
export function macosProfile(policy: BoxPolicy): string {
  const { granted, hidden, own, tools } = policy;
  const shown = [...granted, ...own];
  const readable = [...tools.map(subpath), ...shown.map(filterOf)];
  const ancestors = new Set([...tools, ...shown.map(({ source }) => source)].flatMap(foldersAbove));
  return [
    "(version 1)",
    "(deny default)",
    // What a process needs to exist: the loader, kernel facts, its own memory. Names no file of the operator.
    '(import "system.sb")',
    "(allow process-fork)",
    "(allow signal (target same-sandbox))",
    rule("allow process-exec", [...SYSTEM.map(subpath), ...readable]),
    rule("allow file-read*", [...SYSTEM.map(subpath), ...SYSTEM_FILES.map(subpath)]),
    rule("allow file-write-data", ["/dev/null", "/dev/zero"].map(literal)),
    // To come to a place its folders have to be looked up, and nothing in them listed.
    rule("allow file-read-metadata", [...ancestors].sort().map(literal)),
    rule("allow file-read*", [...tools.map(subpath), ...granted.map(filterOf)]),
    rule("allow file-write*", granted.filter(({ write }) => write).map(filterOf)),
    rule("deny file-read* file-write* process-exec", hidden.map(subpath)),
    rule("allow file-read* process-exec", own.map(filterOf)),
    rule("allow file-write*", own.filter(({ write }) => write).map(filterOf)),
    ...network(policy),
    "",
  ]
    .filter((line, index, all) => line !== "" || index === all.length - 1)
    .join("\n");
}

function network({ network, own }: BoxPolicy): string[] {
  if (network === "open") return ["(allow network*)", "(allow system-socket)"];
  // Core's socket lies in a folder that is shown; no other family and no other place can be reached.
  const sockets = own.filter(({ kind, write }) => kind === "folder" && !write).map(filterOf);
  return [
    rule(
      "allow network-outbound",
      sockets.map((filter) => `(remote unix-socket ${filter})`),
    ),
  ];
}

function rule(what: string, filters: readonly string[]): string {
  return filters.length === 0 ? "" : `(${what}\n${filters.map((filter) => `  ${filter}`).join("\n")})`;
}

function filterOf({ source, kind }: Place): string {
  return kind === "folder" ? subpath(source) : literal(source);
}

function subpath(path: string): string {
  return `(subpath ${quoted(path)})`;
}

function literal(path: string): string {
  return `(literal ${quoted(path)})`;
}

/**
 * SECURITY: a path that ends its string would write rules of its own; pinned by "a path cannot end its string".
 */
function quoted(path: string): string {
  if (/\p{C}/u.test(path) || !path.startsWith("/"))
    throw new CoreError("sandbox.path_forbidden", "the path holds characters that a profile cannot name", {
      nextStep: "opensentience help agents enable",
    });
  return `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [above, ...foldersAbove(above)];
}
