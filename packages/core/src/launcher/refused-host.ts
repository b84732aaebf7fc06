/** What the log of a run says of a host that Core's proxy refused: where, and what would let the agent go there. */
import { matchesHost } from "@opensentience/protocol";
import { egressPatterns } from "../sandbox/sandbox.ts";

/** `target` is undefined where the request named no host that could be read. */
export type RefusedHost = { code: string; message: string; target: { host: string; port: number } | undefined };

/** One line. `requested`: the permissions that the manifest of the run asks for. */
export function refusedHostNote(
  { code, message, target }: RefusedHost,
  agentId: string,
  requested: readonly string[],
): string {
  if (target === undefined) return `refused what came to the proxy: ${message}`;
  const { host, port } = target;
  const refused = `refused to connect to ${host}:${port}`;
  if (code !== "egress.not_approved") return `${refused}: ${message}`;
  const wanted = egressPatterns(requested).find((pattern) => matchesHost(pattern, host, port));
  return wanted === undefined
    ? `${refused}; its manifest does not ask for network:egress:${host}:${port}`
    : `${refused}; approve network:egress:${wanted} (opensentience agents enable ${agentId})`;
}
