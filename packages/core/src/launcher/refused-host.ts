/** What the log of a run says of a host that it did not reach: where, and what would let the agent go there. */
import { comparePermissions, type CoreError } from "@opensentience/protocol";
import { egressPatterns } from "../sandbox/sandbox.ts";

/** `target` is undefined where the request named no host that could be read. */
export type RefusedHost = { code: string; message: string; target: { host: string; port: number } | undefined };

/** Egress.refusalOf. */
export type Judgement = (target: { host: string; port: number }, patterns: readonly string[]) => CoreError | undefined;

/** One line. `requested`: the permissions that the manifest of the run asks for; advised is only what would help. */
export function refusedHostNote(
  { code, message, target }: RefusedHost,
  agentId: string,
  requested: readonly string[],
  refusalOf: Judgement,
): string {
  if (target === undefined) return `refused what came to the proxy: ${message}`;
  const { host, port } = target;
  if (code === "egress.unresolved") return `could not find ${host}`;
  if (code === "egress.unreachable") {
    const isGivenUp = message.endsWith(" was not waited for");
    return `could not connect to ${host}:${port}${isGivenUp ? " before the agent gave up" : ""}`;
  }
  if (code === "egress.timeout") return `could not connect to ${host}:${port}: ${message}`;
  const refused = `refused to connect to ${host}:${port}`;
  if (code !== "egress.not_approved") return `${refused}: ${message}`;
  const patterns = egressPatterns(requested);
  const fitting = patterns.filter((pattern) => refusalOf(target, [pattern]) === undefined);
  if (fitting.length > 0) {
    // Nobody is told to approve more than it takes.
    const wanted = fitting.reduce((best, other) => (isWider(best, other) ? other : best));
    return `${refused}; approve network:egress:${wanted} (opensentience agents enable ${agentId})`;
  }
  const inAnyCase = refusalOf(target, patterns);
  return inAnyCase?.code === "egress.core_port"
    ? `${refused}: ${inAnyCase.message}`
    : `${refused}; its manifest does not ask for network:egress:${host}:${port}`;
}

function isWider(one: string, other: string): boolean {
  return comparePermissions(`network:egress:${one}`, `network:egress:${other}`) === "wider";
}
