import type { AuditEventJson } from "@opensentience/protocol";
import { Badge, type Tone } from "../ui/badge.tsx";

const OUTCOMES: Record<AuditEventJson["outcome"], { text: string; tone: Tone }> = {
  ok: { text: "ok", tone: "ok" },
  denied: { text: "denied", tone: "warn" },
  failed: { text: "failed", tone: "bad" },
  unknown: { text: "begun", tone: "calm" },
};

/** `unknown` is an intent on record: another event says how it ended. */
export function OutcomeBadge({ outcome }: Pick<AuditEventJson, "outcome">) {
  return <Badge tone={OUTCOMES[outcome].tone}>{OUTCOMES[outcome].text}</Badge>;
}

export function SeverityMark({ severity }: Pick<AuditEventJson, "severity">) {
  return (
    <span className={`severity severity-${severity}`} title={severity}>
      <span className="visually-hidden">{severity}</span>
    </span>
  );
}
