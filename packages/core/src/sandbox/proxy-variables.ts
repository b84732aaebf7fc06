/** How a run with a way out is told of it: the variables that HTTP clients of all languages read. */
import { parseHostPattern, parsePermission } from "@opensentience/protocol";
import { WAY_OUT_PORT } from "./way-out.ts";

/** Core's proxy, as a program inside finds it. */
export const PROXY_URL: string = `http://127.0.0.1:${WAY_OUT_PORT}`;

/** What a program inside finds at its own loopback: its own servers. */
const OWN_HOSTS = ["localhost", "127.0.0.1", "::1"];

/** The patterns of the approved `network:egress` permissions. */
export function egressPatterns(approvedPermissions: readonly string[]): string[] {
  return approvedPermissions.flatMap((permission) => {
    const parsed = parsePermission(permission);
    const isEgress = parsed?.domain === "network" && parsed.action === "egress" && parsed.pattern !== undefined;
    return isEgress ? [parsed.pattern ?? ""] : [];
  });
}

/**
 * Own servers are asked directly; where the approval names the loopback of this machine, that name goes through the
 * proxy instead, because inside it means something else. Node reads them because of NODE_USE_ENV_PROXY.
 */
export function proxyVariables(patterns: readonly string[]): Record<string, string> {
  const proxy = PROXY_URL;
  const named = new Set(patterns.map((pattern) => parseHostPattern(pattern)?.host));
  const direct = OWN_HOSTS.filter((host) => !named.has(host === "::1" ? "[::1]" : host)).join(",");
  const values = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy, NO_PROXY: direct };
  const lowerCase = Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...values, ...(Object.fromEntries(lowerCase) as Record<string, string>), NODE_USE_ENV_PROXY: "1" };
}
