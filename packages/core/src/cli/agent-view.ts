/** Agents, approvals and drift as text for people. Pure; everything an agent chose is made safe by `Style`. */
import type {
  AgentDetailJson,
  AgentDiffJson,
  AgentJson,
  ApprovalJson,
  AuditEventJson,
  DriftJson,
  PermissionJson,
  PsItemJson,
  ToolJson,
} from "@opensentience/protocol";
import { isErrorPast, limitsText, manifestNotice, readFiles, restartNotice } from "@opensentience/protocol";
import { type Cell, counted, type Painted, oneLine, shortHash, shortTime, Style } from "./format.ts";
import { eventRows } from "./audit-view.ts";
import { HEALTH_COLORS, runRows } from "./run-view.ts";
import { toolsTable } from "./tool-view.ts";

const ENFORCEMENT: Record<PermissionJson["enforcement"], string> = {
  enforced: "held by the kernel",
  brokered: "held by Core, which carries it out",
  advisory: "not held: the agent is asked to keep to it",
  unsupported: "cannot be held or granted yet",
};

const STATUS_COLORS = {
  running: "green",
  error: "red",
  enabled: "blue",
  stopped: "dim",
  installed: "dim",
  local_dev: "dim",
  local_uninstalled: "dim",
} as const;

function statusCell(status: AgentJson["status"]): Cell {
  return { text: status.replaceAll("_", " "), color: STATUS_COLORS[status] };
}

/** Who holds the agent to a permission, in words. */
export function heldBy(permission: PermissionJson): string {
  return ENFORCEMENT[permission.enforcement];
}

/** What a list marks: that an agent is no longer what was approved, or when its approval ends, if that is soon. */
export type Marks = ReadonlyMap<string, { isDrifted: boolean; endsAt: string | null }>;

export function agentsTable(style: Style, agents: readonly AgentJson[], marks: Marks): string {
  const rows = agents.map((agent) => [
    agent.agent_id,
    agent.version,
    markedStatus(agent, marks),
    agent.missing_since === null ? agent.name : `${agent.name} (missing on disk)`,
  ]);
  return style.table(["AGENT", "VERSION", "STATUS", "NAME"], rows);
}

function markedStatus(agent: AgentJson, marks: Marks): Cell {
  const status = agent.status.replaceAll("_", " ");
  const mark = marks.get(agent.agent_id);
  if (mark?.isDrifted === true) return { text: `${status}, drifted`, color: "red" };
  if (agent.build_status === "building") return { text: "building", color: "yellow" };
  if (mark === undefined || mark.endsAt === null) return statusCell(agent.status);
  return { text: `${status}, approved until ${shortTime(mark.endsAt)}`, color: "yellow" };
}

/** One line after an act: what the agent is now. */
export function agentState(style: Style, agent: AgentDetailJson): string {
  return style.fields([
    ["agent", `${agent.agent_id} ${agent.version}`],
    ["status", statusCell(agent.status)],
    ["commit", agent.source_commit === null ? null : shortHash(agent.source_commit)],
    ["build", buildText(agent)],
    ["manifest", manifestCell(agent)],
    ["approval", agent.approval === null ? "none" : `${approvalText(agent, agent.approval)}${movedText(agent)}`],
    ["pending", pendingText(agent)],
    ...keptFields(agent),
  ]);
}

/** Of an agent that is not installed: what a removal left on disk. */
function keptFields(agent: AgentDetailJson): [string, string | null][] {
  if (agent.install_path !== null) return [];
  return [
    ["kept data", agent.data_path],
    ["kept logs", agent.logs_path],
  ];
}

/** What stands against the approval, or that there is none to stand against. */
export function diffText(style: Style, diff: AgentDiffJson): string {
  const notice = manifestNotice(diff);
  const isSame = diff.approval?.status === "active" && diff.drift === null;
  const changed = isSame ? "  nothing changed since the approval" : changes(style, diff);
  return [...(notice === null ? [] : [`  ${style.paint("red", notice)}`]), changed].join("\n");
}

function manifestCell(agent: AgentDetailJson): Cell | null {
  const notice = manifestNotice(agent);
  return notice === null ? null : { text: notice, color: "red" };
}

function movedText({ drift, repair_step: repair }: AgentDetailJson): string {
  if (repair !== null) return "; its files were changed";
  return drift === null ? "" : "; drifted, review it again";
}

/** What the run that is under way does not know yet. */
export function pendingText({
  pending_permissions: pending,
}: Pick<AgentDetailJson, "pending_permissions">): Painted | null {
  if (pending === null) return null;
  const removed = pending.removed.map((permission) => `keeps ${oneLine(permission)}`);
  const added = pending.added.map((permission) => `lacks ${oneLine(permission)}`);
  return { text: `until it is restarted, this run ${[...removed, ...added].join(", ")}`, color: "yellow" };
}

/** What it asked for and nobody approved. */
export function notApprovedText({
  agent_id: id,
  requested_permissions: requested,
}: Pick<AgentDetailJson, "agent_id" | "requested_permissions">): string | null {
  const missing = requested.filter(({ approved }) => !approved).map(({ permission }) => oneLine(permission));
  if (missing.length === 0) return null;
  return `it asked for and was not given ${missing.join(", ")} (opensentience agents enable ${id})`;
}

export type AgentHistory = {
  runs: readonly PsItemJson[];
  events: readonly AuditEventJson[];
  tools: readonly ToolJson[];
};

/** The page of one agent: what it may do, what it has done, what changed since its approval. */
export function agentPage(style: Style, agent: AgentDetailJson, history: AgentHistory): string {
  return [
    `${style.paint("bold", oneLine(agent.agent_id))}  ${oneLine(agent.name)} ${oneLine(agent.version)}`,
    ...(agent.description === "" ? [] : [oneLine(agent.description)]),
    "",
    style.fields([
      ["status", statusCell(agent.status)],
      ["build", buildText(agent)],
      ["source", sourceText(agent)],
      ["manifest", manifestText(agent)],
      ["changed", manifestCell(agent)],
      ["installed in", agent.install_path],
      [
        "files",
        agent.repair_step === null || agent.source_commit === null
          ? null
          : { text: "not those of the installed commit", color: "red" },
      ],
      ["found in", agent.discovered_path],
      ...keptFields(agent),
      [
        "missing since",
        agent.missing_since === null ? null : { text: shortTime(agent.missing_since), color: "yellow" },
      ],
      ["entrypoint", agent.entrypoint === null ? null : [agent.entrypoint.value, ...agent.entrypoint.args].join(" ")],
      ["restart", agent.restart_policy],
      ["approval", agent.approval === null ? null : approvalText(agent, agent.approval)],
      ["approved", agent.approval === null ? null : approvedText(agent.approval)],
      ["held", agent.held],
      ["then", restartNotice(agent, Date.now())],
      ["pending", pendingText(agent)],
      errorField(agent),
      ["limits", limitsText(history.runs[0]?.limits ?? {})],
      ["unknown fields", agent.unknown_fields.join(", ")],
      ...sessionFields(history.runs[0]),
    ]),
    "",
    style.paint("bold", "What may it do"),
    mayDo(style, agent),
    ...(history.tools.length === 0
      ? []
      : ["", style.paint("bold", "What it offers"), toolsTable(style, history.tools)]),
    "",
    style.paint("bold", "What has it done"),
    hasDone(style, history),
    "",
    style.paint("bold", "What changed since its approval"),
    changes(style, agent),
  ].join("\n");
}

/** What is over is told as over: an agent that runs again shows no fault. */
function errorField(agent: AgentDetailJson): [string, Cell | null] {
  if (agent.last_error === null) return ["last error", null];
  const text = oneLine(agent.last_error);
  if (!isErrorPast(agent)) return ["last error", { text, color: "red" }];
  return ["past error", `${shortTime(agent.last_error_at)}: ${text}`];
}

/** Of the newest run, while it has a session. */
function sessionFields(run: PsItemJson | undefined): [string, Cell | null][] {
  if (run === undefined || run.health === null) return [];
  const heard = run.last_heartbeat_at === null ? "" : `, heard of ${shortTime(run.last_heartbeat_at)}`;
  return [
    ["health", { text: run.health, color: HEALTH_COLORS[run.health] }],
    ["session", `${run.session_id ?? ""}${heard}`],
  ];
}

/** The semantic difference between the approved state and the present one, indented. */
export function driftText(style: Style, drift: DriftJson | null): string {
  if (drift === null) return "  nothing";
  const { permissions, entrypoint, commit, fields, files } = drift.diff;
  const moved = (label: string, from: string, to: string): string =>
    `  ${style.paint("yellow", "~")} ${oneLine(label)}: ${orNone(from)} -> ${orNone(to)}`;
  return [
    `  moved: ${drift.layers.join(", ")}${drift.narrowing ? ` (${lessText(drift)})` : ""}`,
    ...permissions.added.map((permission) => `  ${style.paint("red", "+")} permission ${oneLine(permission)}`),
    ...permissions.widened.map(
      ({ from, to }) => `  ${style.paint("red", "+")} permission widened: ${oneLine(from)} -> ${oneLine(to)}`,
    ),
    ...permissions.narrowed.map(
      ({ from, to }) => `  ${style.paint("green", "-")} permission narrowed: ${oneLine(from)} -> ${oneLine(to)}`,
    ),
    ...permissions.removed.map((permission) => `  ${style.paint("green", "-")} permission ${oneLine(permission)}`),
    ...(entrypoint === null ? [] : [moved("entrypoint", entrypoint.from, entrypoint.to)]),
    ...(commit === null ? [] : [moved("commit", commit.from, commit.to)]),
    ...fields.map(({ field, from, to }) =>
      // The last one of very many only counts the others.
      from === "" && to === "" ? `  … and ${oneLine(field)}` : moved(field, from, to),
    ),
    ...fileLines(style, files),
  ].join("\n");
}

/** An absent field has no text. */
function orNone(text: string): string {
  return text === "" ? "(none)" : oneLine(text);
}

/** What a drift that takes one confirmation comes to. */
export function lessText({ diff: { permissions } }: DriftJson): string {
  return permissions.removed.length + permissions.narrowed.length > 0
    ? "it only asks for less"
    : "it asks for nothing more";
}

const MAX_FILES = 20;

function fileLines(style: Style, files: DriftJson["diff"]["files"]): string[] {
  const lists = [
    { mark: "+", ...readFiles(files.added) },
    { mark: "-", ...readFiles(files.removed) },
    { mark: "~", ...readFiles(files.changed) },
  ];
  const named = lists.flatMap(({ mark, named: some }) => some.map((file) => ({ mark, file })));
  const shown = named.slice(0, MAX_FILES);
  const lines = shown.map(({ mark, file }) => `  ${style.paint("yellow", mark)} file ${oneLine(file)}`);
  const more = lists.reduce((sum, list) => sum + list.more, named.length - shown.length);
  return more === 0 ? lines : [...lines, `  … and ${counted(more, "more file")}`];
}

/** Blocks instead of a table: on a narrow terminal a table would cut off just the risk. */
function mayDo(style: Style, agent: AgentDetailJson): string {
  if (agent.requested_permissions.length === 0) return "  it requests no permission";
  return agent.requested_permissions.map((permission) => permissionLines(style, permission)).join("\n");
}

function permissionLines(style: Style, permission: PermissionJson): string {
  const verdict = permission.approved ? style.paint("green", "approved    ") : style.paint("dim", "not approved");
  const risk =
    permission.risk === null ? [] : [`                ${style.paint("red", `risk: ${oneLine(permission.risk)}`)}`];
  return [
    `  ${verdict}  ${style.paint("bold", permission.permission)}`,
    `                ${oneLine(permission.meaning)} (${heldBy(permission)})`,
    ...risk,
  ].join("\n");
}

function hasDone(style: Style, { runs, events }: AgentHistory): string {
  const parts = [
    ...(runs.length === 0 ? ["  it has never run"] : [runRows(new Style({ color: style.color }), runs)]),
    ...(events.length === 0 ? [] : [eventRows(style, events)]),
  ];
  return parts.join("\n\n");
}

function changes(style: Style, agent: Pick<AgentDiffJson, "approval" | "drift">): string {
  if (agent.approval === null) return "  it has no approval";
  return agent.approval.status === "active"
    ? driftText(style, agent.drift)
    : `  its approval is ${agent.approval.status}`;
}

function buildText(agent: AgentDetailJson): string | null {
  if (agent.build_status === null) return null;
  // The time is that of the last build, which says nothing once its result is gone.
  return agent.build_last_at === null || agent.build_status === "not_built"
    ? agent.build_status.replaceAll("_", " ")
    : `${agent.build_status} ${shortTime(agent.build_last_at)}`;
}

/** Where a source was removed, or went missing, there is no manifest to look at. */
function manifestText({ manifest_path: path, manifest_hash: hash, ...agent }: AgentDetailJson): string | null {
  const isGone = path === null || (agent.install_path === null && agent.missing_since !== null);
  return isGone ? null : `${path} (${shortHash(hash)})`;
}

function sourceText(agent: AgentDetailJson): string | null {
  // Run where it lies (`--dev`): whatever stands there is what runs, so no commit can be named.
  const isInPlace = agent.source_commit === null && agent.install_path !== null;
  if (agent.source_git_url === null) return isInPlace ? "not pinned" : null;
  return `${agent.source_git_url}${agent.source_ref === null ? "" : ` at ${agent.source_ref}`} (${isInPlace ? "not pinned" : shortHash(agent.source_commit)})`;
}

/** When it was given, and by whom. */
function approvedText({ approved_at: at, approved_by: by }: ApprovalJson): string {
  return `${shortTime(at)} by ${by}`;
}

function approvalText({ requested_permissions: requested }: AgentDetailJson, approval: ApprovalJson): string {
  const approved = requested.filter((permission) => permission.approved).length;
  const how = approval.unsandboxed ? "without a sandbox where none can be made, " : "";
  return `${how}${approval.status}, ${approved} of ${counted(requested.length, "permission")}${expiry(approval)}`;
}

/** An end that it still has, or that it came to; one that was revoked before does not end then. */
function expiry({ status, expires_at: end }: ApprovalJson): string {
  if (end === null || (status !== "active" && status !== "expired")) return "";
  return status === "active" ? `, until ${shortTime(end)}` : `, ended ${shortTime(end)}`;
}
