/**
 * Where a request wants to go: the host in its one spelling, so that what is compared, resolved, connected to and named
 * in the forwarded request is the same text.
 */
import { domainToASCII } from "node:url";
import { canonicalHost } from "@opensentience/protocol";

/** `host` is a name in ASCII or an address, IPv6 in brackets. */
export type Target = { host: string; port: number };

/**
 * `host`, `host:port` or `[IPv6]:port`; undefined for anything else, user info, zones, escapes and port 0 among it.
 * `defaultPort` undefined means that a port must be there.
 * SECURITY: whoever judges one spelling and connects by another lets `0x7f.1` pass for a public host; pinned by "every
 * spelling of a host is the same host".
 */
export function parseTarget(authority: string, defaultPort: number | undefined): Target | undefined {
  const split = /^(\[[0-9A-Fa-f:.]*\]|[^:@%[\]/\\?#\s]+)(?::([0-9]{1,5}))?$/u.exec(authority);
  if (split === null) return undefined;
  const [, name = "", digits] = split;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port < 1 || port > 65_535) return undefined;
  // Only what needs it: domainToASCII knows more spellings of a name than a name may have here.
  const ascii = /^[\u0021-\u007e]*$/.test(name) ? name : domainToASCII(name);
  const host = canonicalHost(ascii);
  return host === undefined ? undefined : { host, port };
}

/** The address a host is, without brackets; undefined when it is a name. */
export function addressOf(host: string): string | undefined {
  if (host.startsWith("[")) return host.slice(1, -1);
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) ? host : undefined;
}
