/**
 * What kind of place an IP address is, by the registries of special-purpose addresses (RFC 6890 and its successors).
 * Whatever is not known to be public is not: a range that is given out tomorrow is refused until it stands here.
 */
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** "private" is a network of one's own: RFC 1918, CGNAT and IPv6 unique local addresses. */
export type AddressClass =
  | "public"
  | "private"
  | "loopback"
  | "link_local"
  | "multicast"
  | "unspecified"
  | "reserved"
  | "this_machine";

type Range = readonly [network: string, bits: number, is: Exclude<AddressClass, "this_machine">];

/** The first row that fits counts. */
const IPV4: readonly Range[] = [
  ["0.0.0.0", 8, "unspecified"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "private"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link_local"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "reserved"],
  ["192.88.99.0", 24, "reserved"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "reserved"],
  ["198.51.100.0", 24, "reserved"],
  ["203.0.113.0", 24, "reserved"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
  ["0.0.0.0", 0, "public"],
];

const IPV6: readonly Range[] = [
  ["::", 128, "unspecified"],
  ["::1", 128, "loopback"],
  ["fc00::", 7, "private"],
  ["fe80::", 10, "link_local"],
  // Site-local, given up in 2004 and still routed by some.
  ["fec0::", 10, "private"],
  ["ff00::", 8, "multicast"],
  // Teredo, ORCHID and benchmarks; the few anycast services in it are not missed.
  ["2001::", 23, "reserved"],
  ["2001:db8::", 32, "reserved"],
  ["3fff::", 20, "reserved"],
  ["2000::", 3, "public"],
  ["::", 0, "reserved"],
];

/** Where an IPv4 address stands inside an IPv6 one: mapped, NAT64 (RFC 6052) and 6to4. */
const EMBEDDING: readonly (readonly [network: string, bits: number, at: number])[] = [
  ["::ffff:0:0", 96, 12],
  ["64:ff9b::", 96, 12],
  ["2002::", 16, 2],
];

/**
 * The class of an address as `net.isIP` knows them, a zone (`%eth0`) allowed; "reserved" for any other text.
 * SECURITY: `::ffff:127.0.0.1` and its like reach what their IPv4 address reaches; pinned by "an IPv4 address inside an
 * IPv6 one is judged as itself".
 */
export function classOf(address: string): AddressClass {
  const bytes = bytesOf(address);
  if (bytes === undefined) return "reserved";
  const judged = embeddedIn(bytes) ?? bytes;
  // SECURITY: through this machine's own public address one comes past its firewall, which stands before the network
  // card; pinned by "an address of this machine is none of the public ones".
  const found = (judged.length === 4 ? IPV4 : IPV6).find(([network, bits]) => isWithin(judged, network, bits));
  if (found?.[2] === "loopback" || !isOwn(judged)) return found?.[2] ?? "reserved";
  return "this_machine";
}

/** True when a connection to that address ends at this machine. */
export function isThisMachine(address: string): boolean {
  return ["loopback", "this_machine", "unspecified"].includes(classOf(address));
}

function isOwn(bytes: Uint8Array): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((one) => {
      const own = bytesOf(one.address);
      return own !== undefined && Buffer.compare(own, bytes) === 0;
    }),
  );
}

function embeddedIn(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== 16) return undefined;
  const found = EMBEDDING.find(([network, bits]) => isWithin(bytes, network, bits));
  return found === undefined ? undefined : bytes.subarray(found[2], found[2] + 4);
}

function isWithin(bytes: Uint8Array, network: string, bits: number): boolean {
  const prefix = bytesOf(network);
  if (prefix?.length !== bytes.length) return false;
  return bytes.every((byte, index) => {
    const left = Math.min(8, Math.max(0, bits - index * 8));
    const mask = (0xff << (8 - left)) & 0xff;
    return (byte & mask) === ((prefix[index] ?? 0) & mask);
  });
}

/** Four or sixteen bytes. */
function bytesOf(address: string): Uint8Array | undefined {
  const text = address.replace(/%.*$/, "");
  if (!isIPv6(text)) {
    const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
    return parts === undefined || parts.some((part) => part > 255) ? undefined : Uint8Array.from(parts);
  }
  // The one spelling that the URL standard gives: hexadecimal groups, at most one "::".
  const spelled = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = "", tail] = spelled.split("::");
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
