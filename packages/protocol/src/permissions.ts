/**
 * Permissions: what an agent asks for and an operator approves, as text of the form `domain:action[:pattern]`.
 *
 * This file is the door; the rooms are in `permissions/`. Everything here is pure and free of dependencies, because
 * the author's tools, the command line, Core and the page all have to give the same answer:
 *  - the grammar and the one canonical list (grammar.ts); whoever hashes, stores or compares a list uses that form;
 *  - matchers for enforcement (path-, host-, tool-pattern.ts): a pattern that is not understood covers nothing;
 *  - wider and narrower, and the diff of two lists (compare.ts): claims are sound, doubts end as "unrelated";
 *  - plain words and risks for the person who decides (meaning.ts);
 *  - how a permission is held on a machine (below): nothing is called enforced that the sandbox does not hold.
 * Approving is by exact text. Nothing in here decides or grants anything.
 */
import { understand } from "./permissions/grammar.ts";

export { type Comparison, type PermissionChange, type PermissionDiff } from "./permissions/compare.ts";
export { comparePermissions, coversPermission, diffPermissions, isPureNarrowing } from "./permissions/compare.ts";
export { MAX_PERMISSION_BYTES, type Permission, canonicalPermissions, parsePermission } from "./permissions/grammar.ts";
export { type HostPattern, canonicalHost, matchesHost, parseHostPattern } from "./permissions/host-pattern.ts";
export { type PermissionDescription, describePermission } from "./permissions/meaning.ts";
export { matchesPath, type PathReach, pathReach } from "./permissions/path-pattern.ts";
export { matchesTool } from "./permissions/tool-pattern.ts";

/**
 * How a permission is held: `enforced` (the kernel holds it), `brokered` (Core stands in the way), `advisory`
 * (recorded, nothing stops the agent), `unsupported` (Core does not know what it means).
 */
export type Enforcement = "enforced" | "brokered" | "advisory" | "unsupported";

/**
 * Whether what it opens is made at the start of a run, and stays as it is until the next one: the box, its way out, the
 * variables. Tools are asked for with every call.
 */
export function isMadeAtStart(permission: string): boolean {
  return ["path", "host", "env"].includes(understand(permission).kind);
}

/** What this machine's sandbox and Core hold, for the three kinds where that depends on the machine. */
export type HeldHere = { filesystem: Enforcement; egress: Enforcement; tools: Enforcement };

/** The strongest claim that is true for this permission on this machine. */
export function enforcementOf(permission: string, held: HeldHere): Enforcement {
  switch (understand(permission).kind) {
    case "path":
      return held.filesystem;
    case "host":
      return held.egress;
    case "tool":
      return held.tools;
    case "env":
      return "brokered";
    case "carried":
      return "advisory";
    case "opaque":
      return "unsupported";
  }
}
