import type { AgentJson, RunJson } from "@opensentience/protocol";
import type { ReactNode } from "react";

export type Tone = "ok" | "warn" | "bad" | "info" | "calm";

export function Badge({ tone = "calm", dot = false, spare = false, title, children }: BadgeProps) {
  return (
    <span className={`badge badge-${tone}${spare ? " badge-spare" : ""}`} title={title}>
      {dot && <span className="badge-dot" aria-hidden="true" />}
      {children}
    </span>
  );
}

/** `spare`: where a row is narrow it is left out. */
type BadgeProps = { tone?: Tone; dot?: boolean; spare?: boolean; title?: string; children: ReactNode };

const STATUS: Record<AgentJson["status"], { text: string; tone: Tone; meaning: string }> = {
  running: { text: "Running", tone: "ok", meaning: "Its process is alive." },
  enabled: { text: "Approved", tone: "info", meaning: "You approved it; it has not run since." },
  stopped: { text: "Stopped", tone: "calm", meaning: "It ran and ended." },
  installed: { text: "Installed", tone: "calm", meaning: "Its files are here; nothing is approved." },
  local_dev: { text: "In place", tone: "calm", meaning: "Run from its author's own folder; nothing is approved." },
  local_uninstalled: { text: "Found", tone: "calm", meaning: "Its manifest was found; nothing is installed." },
  error: { text: "Error", tone: "bad", meaning: "Its last act or run failed." },
};

export const STATUS_ORDER = Object.keys(STATUS) as AgentJson["status"][];

export function statusText(status: AgentJson["status"]): string {
  return STATUS[status].text;
}

export function StatusBadge({ agent }: { agent: Pick<AgentJson, "status" | "build_status"> }) {
  if (agent.build_status === "building")
    return (
      <Badge tone="warn" dot>
        Building
      </Badge>
    );
  const { text, tone, meaning } = STATUS[agent.status];
  return (
    <Badge tone={tone} dot title={meaning}>
      {text}
    </Badge>
  );
}

const HEALTH = {
  ok: { text: "Healthy", tone: "ok" },
  degraded: { text: "Degraded", tone: "warn" },
  unhealthy: { text: "Unhealthy", tone: "bad" },
} as const;

export function HealthBadge({ health }: { health: RunJson["health"] }) {
  return health === null ? null : <Badge tone={HEALTH[health].tone}>{HEALTH[health].text}</Badge>;
}

/** How the processes of a run are held together. */
export function IsolationBadge({ isolation }: { isolation: string | null }) {
  if (isolation === null) return null;
  if (isolation === "sandbox")
    return (
      <Badge spare title="It sees its own folders, the system's programs and what was approved, and ends with its run.">
        Sandbox
      </Badge>
    );
  return isolation === "pid_namespace" ? (
    <Badge
      tone="bad"
      title="No permission of files or network is held. Its processes are held in a namespace and end with it."
    >
      No sandbox
    </Badge>
  ) : (
    <Badge tone="bad" title="No permission of files or network is held, and a process that leaves its group escapes.">
      No sandbox, process group only
    </Badge>
  );
}
