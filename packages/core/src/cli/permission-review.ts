/**
 * The interactive review before an approval: every requested permission with its meaning, how it is held and its
 * risk, one question each; then a summary and a last question. No is the default everywhere.
 *
 * When an earlier approval exists and the agent has moved since, the difference comes first. A change that asks
 * for nothing more (see docs/lifecycle.md) needs one key: questions that come too often are clicked away. Says what to approve; approves nothing.
 */
import { type AgentDetailJson, type DriftJson, manifestNotice, type PermissionJson } from "@opensentience/protocol";
import { driftText, heldBy, lessText } from "./agent-view.ts";
import { counted, oneLine, shortHash, shortTime, type Style } from "./format.ts";
import type { Prompt } from "./prompt.ts";

type Asker = Pick<Prompt, "show" | "ask" | "confirm" | "confirmByKey">;

/** The permissions to approve, or undefined when the person decided against it. The agent must be installed. */
export async function review(prompt: Asker, style: Style, agent: AgentDetailJson): Promise<string[] | undefined> {
  prompt.show(`${style.paint("bold", agent.agent_id)}  ${oneLine(agent.name)} ${oneLine(agent.version)}`);
  const notice = manifestNotice(agent);
  if (notice !== null) prompt.show(style.paint("red", notice));
  if (agent.drift !== null) {
    prompt.show(`It changed since its approval:\n${driftText(style, agent.drift)}`);
    if (agent.drift.narrowing) return reviewNarrowing(prompt, agent, agent.drift);
  }
  const approved = await askEach(prompt, style, agent.requested_permissions);
  if (approved === undefined) return undefined;
  prompt.show(summary(style, agent, approved));
  return (await prompt.confirm("Approve this, for exactly this state of the agent?")) ? approved : undefined;
}

/** What was approved and is still requested, and the narrower form of what was approved wider. */
function narrowedApproval(
  agent: Pick<AgentDetailJson, "approval" | "requested_permissions">,
  drift: DriftJson,
): string[] {
  const before = new Set(agent.approval?.approved_permissions);
  const narrower = new Set(drift.diff.permissions.narrowed.filter(({ from }) => before.has(from)).map(({ to }) => to));
  return agent.requested_permissions
    .map(({ permission }) => permission)
    .filter((permission) => before.has(permission) || narrower.has(permission));
}

/** The one key is for this code and no other, so the question names it. */
function codeMoved({ diff: { commit, fields } }: DriftJson): string[] {
  if (commit === null) return [];
  const version = fields.find(({ field }) => field === "version");
  const versions = version === undefined ? "" : ` (${oneLine(version.from)} → ${oneLine(version.to)})`;
  return [`code: ${shortHash(commit.from)} → ${shortHash(commit.to)}${versions}`];
}

async function reviewNarrowing(prompt: Asker, agent: AgentDetailJson, drift: DriftJson): Promise<string[] | undefined> {
  const approved = narrowedApproval(agent, drift);
  const less = lessText(drift);
  const ends = agent.approval?.expires_at;
  const question = [
    ...codeMoved(drift),
    ...approved.map((permission) => `  stays: ${oneLine(permission)}`),
    ...(typeof ends === "string" ? [`  until: ${shortTime(ends)}`] : []),
    `${less.charAt(0).toUpperCase()}${less.slice(1)}. Approve what remains (${counted(approved.length, "permission")})?`,
  ];
  return (await prompt.confirmByKey(question.join("\n"))) ? approved : undefined;
}

async function askEach(
  prompt: Asker,
  style: Style,
  requested: readonly PermissionJson[],
): Promise<string[] | undefined> {
  if (requested.length === 0) prompt.show("It requests no permission.");
  const approved: string[] = [];
  for (const [index, permission] of requested.entries()) {
    prompt.show(`\n${permissionText(style, permission, `${index + 1} of ${requested.length}`)}`);
    const answer = await askOne(prompt);
    if (answer === "quit") return undefined;
    if (answer === "all") return [...approved, ...requested.slice(index).map((each) => each.permission)];
    if (answer === "yes") approved.push(permission.permission);
  }
  return approved;
}

async function askOne(prompt: Asker): Promise<"yes" | "no" | "all" | "quit"> {
  for (;;) {
    const answer = (await prompt.ask("  approve? yes, No, all that remain, quit [y/N/a/q] ")).toLowerCase();
    if (answer === "" || answer === "n" || answer === "no") return "no";
    if (answer === "y" || answer === "yes") return "yes";
    if (answer === "a" || answer === "all") return "all";
    if (answer === "q" || answer === "quit") return "quit";
  }
}

function permissionText(style: Style, permission: PermissionJson, position: string): string {
  const rows = style.fields([
    ["meaning", permission.meaning],
    [
      "held",
      permission.enforcement === "enforced" || permission.enforcement === "brokered"
        ? heldBy(permission)
        : { text: heldBy(permission), color: "yellow" },
    ],
    ["risk", permission.risk === null ? null : { text: permission.risk, color: "red" }],
    ["until now", permission.approved ? "approved" : null],
  ]);
  return `${style.paint("dim", position)}  ${style.paint("bold", permission.permission)}\n${rows}`;
}

function summary(style: Style, agent: AgentDetailJson, approved: readonly string[]): string {
  const denied = agent.requested_permissions
    .map(({ permission }) => permission)
    .filter((permission) => !approved.includes(permission));
  return [
    "",
    `${approved.length} of ${counted(agent.requested_permissions.length, "permission")}, manifest ${shortHash(agent.manifest_hash)}, commit ${shortHash(agent.source_commit)}`,
    ...approved.map((permission) => `  ${style.paint("green", "yes")} ${oneLine(permission)}`),
    ...denied.map((permission) => `  ${style.paint("dim", "no ")} ${oneLine(permission)}`),
  ].join("\n");
}
