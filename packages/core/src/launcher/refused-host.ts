/** What the log of a run says of a host that it did not reach: where, and what would let the agent go there. */
import { comparePermissions, type CoreError } from "@opensentience/protocol";
import { egressPatterns } from "../sandbox/sandbox.ts";

/** `target` is undefined where the request named no host that could be read. */
export type RefusedHost = { code: string; message: string; target: { host: string; port: number } | undefined };

/** What Egress says of a target. */
export type Judge = {
  refusalOf: (target: { host: string; port: number }, patterns: readonly string[]) => CoreError | undefined;
  isAdvisable: (target: { host: string; port: number }, code: string) => boolean;
};

/** One line. `requested`: the permissions that the manifest of the run asks for; advised is only what would help. */
export function refusedHostNote(
  { code, message, target }: RefusedHost,
  agentId: string,
  requested: readonly string[],
  judge: Judge,
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
  if (!BY_APPROVAL.has(code) || !judge.isAdvisable(target, code)) return `${refused}: ${message}`;
  // What not even its own name and port would let through (Core's own port) is nobody's to approve.
  const inAnyCase = judge.refusalOf(target, [`${host}:${port}`]);
  if (inAnyCase !== undefined) return `${refused}: ${inAnyCase.message}`;
  const fitting = egressPatterns(requested).filter((pattern) => judge.refusalOf(target, [pattern]) === undefined);
  if (fitting.length === 0) return `${refused}; its manifest does not ask for network:egress:${host}:${port}`;
  // Nobody is told to approve more than it takes.
  const wanted = fitting.reduce((best, other) => (isWider(best, other) ? other : best));
  return `${refused}; approve network:egress:${wanted} (opensentience agents enable ${agentId})`;
}

/** Refused for what is approved. */
const BY_APPROVAL: ReadonlySet<string> = new Set(["egress.not_approved", "egress.private_address"]);

function isWider(one: string, other: string): boolean {
  return comparePermissions(`network:egress:${one}`, `network:egress:${other}`) === "wider";
}
