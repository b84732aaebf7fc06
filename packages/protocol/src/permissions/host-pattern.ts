/**
 * Host patterns of `network:egress`: a host, `*.suffix` for whole labels below it, or `*`; each with or without
 * `:port` (no port = every port). IPv6 addresses stand in brackets when a port follows. Hosts are ASCII: a name
 * with other letters is written in its `xn--` form.
 */

export type HostPattern = {
  kind: "any" | "below" | "exact";
  /** Canonical host, or the suffix without `*.`; empty for "any". */
  host: string;
  port: number | undefined;
};

const NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*$/;
const NUMERIC_END = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;

/** undefined when the text is no host pattern (a URL, a half wildcard, a bad port): it then covers nothing. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const split = /^(\[[^\]]*\]|[^:]*)(?::([1-9][0-9]{0,4}))?$/.exec(text);
  // `::1` without brackets has no port.
  const [name, digits] = split === null ? [`[${text}]`, undefined] : [split[1] ?? "", split[2]];
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && port > 65_535) return undefined;
  if (name === "*") return { kind: "any", host: "", port };
  const below = name.startsWith("*.");
  const host = canonicalHost(below ? name.slice(2) : name);
  if (host === undefined || (below && isAddress(host))) return undefined;
  return { kind: below ? "below" : "exact", host, port };
}

/**
 * Lower case, no final dot, one spelling per IP address (IPv6 in brackets); undefined when the text is neither a name in
 * ASCII nor an address.
 */
export function canonicalHost(text: string): string | undefined {
  const host = text.toLowerCase();
  if (host.startsWith("[")) return /^\[[0-9a-f:.]{2,45}\]$/.test(host) ? parsedAddress(host) : undefined;
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  if (name.length > 253 || !NAME.test(name)) return undefined;
  // `127.1`, `0x7f000001` and `2130706433` are all 127.0.0.1 to a resolver.
  return NUMERIC_END.test(name) ? parsedAddress(name) : name;
}

function parsedAddress(text: string): string | undefined {
  return URL.canParse(`http://${text}/`) ? new URL(`http://${text}/`).hostname : undefined;
}

function isAddress(host: string): boolean {
  return host.startsWith("[") || NUMERIC_END.test(host);
}

/** True when the pattern covers this host and port. `host` is a name or an address (IPv6 with or without brackets). */
export function matchesHost(pattern: string, host: string, port: number): boolean {
  const parsed = parseHostPattern(pattern);
  const canonical = canonicalHost(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);
  if (parsed === undefined || canonical === undefined) return false;
  return includesHost(parsed, { kind: "exact", host: canonical, port });
}

/** True when every host and port that `inner` covers is covered by `outer`. */
export function includesHost(outer: HostPattern, inner: HostPattern): boolean {
  if (outer.port !== undefined && outer.port !== inner.port) return false;
  if (outer.kind === "any") return true;
  if (inner.kind === "any") return false;
  if (outer.kind === "exact") return inner.kind === "exact" && inner.host === outer.host;
  // SECURITY: the dot keeps `*.example.com` from covering `evilexample.com`, and an address has no labels;
  // pinned by "a host wildcard covers whole labels only".
  if (inner.kind === "below" && inner.host === outer.host) return true;
  return !isAddress(inner.host) && inner.host.endsWith(`.${outer.host}`);
}
