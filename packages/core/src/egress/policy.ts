/** May this run go there? First the name, before anybody is asked for its addresses; then each address. */
import { CoreError, matchesHost, parseHostPattern } from "@opensentience/protocol";
import { type AddressClass, classOf, isThisMachine } from "./address-class.ts";
import { addressOf, type Target } from "./target.ts";

/** How firmly the approval names the target: by a wildcard or without a port, by name and port, by address and port. */
export type Naming = "loose" | "name" | "address";

/** Throws `egress.not_approved` when no pattern covers the host at that port. */
export function namingOf(target: Target, patterns: readonly string[]): Naming {
  const covering = patterns.filter((pattern) => matchesHost(pattern, target.host, target.port));
  if (covering.length === 0) {
    throw new CoreError("egress.not_approved", `no approved permission covers ${target.host}:${target.port}`);
  }
  const isNamed = covering.some((pattern) => {
    const parsed = parseHostPattern(pattern);
    return parsed?.kind === "exact" && parsed.port !== undefined;
  });
  if (!isNamed) return "loose";
  return addressOf(target.host) !== undefined || isLocalhost(target.host) ? "address" : "name";
}

/** RFC 6761: never any other machine. */
function isLocalhost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

/**
 * Those of the addresses that may be connected to. Throws `egress.core_port` and `egress.private_address` when none may.
 * `reservedToo`: IPv4 ranges that are set apart for tests and the like count as public. Nobody's network is there, and
 * the transparent proxies of some VPNs and companies answer every name with such an address.
 * SECURITY: a name belongs to whoever runs its DNS. It reaches a private network only where the approval names it with
 * its port, and this machine or link-local addresses (169.254.169.254 hands out a cloud machine's keys) never; pinned by
 * "a name that resolves to a private address".
 */
export function permittedAddresses(
  target: Target,
  addresses: readonly string[],
  naming: Naming,
  { corePorts, reservedToo = false }: { corePorts: readonly number[]; reservedToo?: boolean | undefined },
): string[] {
  const others = addresses.filter((address) => !(corePorts.includes(target.port) && isThisMachine(address)));
  if (others.length === 0) throw new CoreError("egress.core_port", "Core's own port is nobody's to reach");
  const permitted = others.filter((address) => {
    const place = classOf(address);
    if (place === "public" || naming === "address" || (naming === "name" && place === "private")) return true;
    return reservedToo && place === "reserved" && !address.includes(":");
  });
  if (permitted.length > 0) return permitted;
  throw new CoreError(
    "egress.private_address",
    `${target.host}:${target.port} is an address of this machine or of a private network, which the approval does not name`,
  );
}

/**
 * What refuses the target where these patterns are approved; undefined where they let it through. Nobody is asked for
 * the addresses of a name, which are taken for public; `localhost` is this machine.
 */
export function refusalOf(
  target: Target,
  patterns: readonly string[],
  corePorts: readonly number[],
): CoreError | undefined {
  const literal = literalOf(target);
  try {
    const naming = namingOf(target, patterns);
    if (literal !== undefined) permittedAddresses(target, [literal], naming, { corePorts });
    return undefined;
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
}

const ADVISABLE: ReadonlySet<AddressClass> = new Set(["public", "private", "loopback", "this_machine"]);

/**
 * Whether somebody may be told to approve the target, which was refused with that code, by its host and port.
 * SECURITY: an agent chooses what it asks for, and what Core advises is believed. The address where a cloud machine's keys are
 * handed out (169.254.169.254) is never advised, nor a name that resolved to a private network: whoever runs its DNS
 * points it elsewhere. Pinned by "no advice leads to the keys of a cloud machine, or by a name into a private network".
 */
export function isAdvisable(target: Target, code: string): boolean {
  const literal = literalOf(target);
  return literal === undefined ? code !== "egress.private_address" : ADVISABLE.has(classOf(literal));
}

/** The address that is meant without a lookup. */
function literalOf({ host }: Target): string | undefined {
  return isLocalhost(host) ? "127.0.0.1" : addressOf(host);
}
