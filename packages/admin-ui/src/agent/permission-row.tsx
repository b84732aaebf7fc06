import type { PermissionJson } from "@opensentience/protocol";
import { useId } from "react";
import { Badge, type Tone } from "../ui/badge.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import type { PermissionStanding } from "./permission-standing.ts";

/** Who holds the agent to it; the words of the command line. */
const HELD: Record<PermissionJson["enforcement"], { text: string; tone: Tone }> = {
  enforced: { text: "held by the kernel", tone: "ok" },
  brokered: { text: "held by Core, which carries it out", tone: "ok" },
  advisory: { text: "not held: the agent is asked to keep to it", tone: "warn" },
  unsupported: { text: "cannot be held or granted yet", tone: "calm" },
};

type Props = {
  permission: PermissionJson;
  isChosen: boolean;
  standing: PermissionStanding;
  onToggle: (isOn: boolean) => void;
};

export function PermissionRow({ permission: { permission, meaning, risk, enforcement, approved }, ...row }: Props) {
  const id = useId();
  const held = HELD[enforcement];
  return (
    <li className={row.isChosen ? "permission permission-chosen" : "permission"}>
      <input
        type="checkbox"
        id={id}
        checked={row.isChosen}
        aria-describedby={`${id}-more`}
        onChange={(event) => row.onToggle(event.target.checked)}
      />
      <div className="permission-text">
        <label htmlFor={id} className="permission-meaning">
          <OutsideText text={meaning} />
        </label>
        <div id={`${id}-more`} className="permission-more">
          <code className="permission-name">
            <OutsideText text={permission} />
          </code>
          {risk !== null && (
            <p className="permission-risk">
              <OutsideText text={risk} />
            </p>
          )}
        </div>
      </div>
      <div className="permission-badges">
        {approved && <Badge tone="info">approved now</Badge>}
        {row.standing !== undefined && (
          <Badge tone={row.standing === "not approved" ? "calm" : "bad"}>{row.standing}</Badge>
        )}
        <Badge tone={held.tone}>{held.text}</Badge>
      </div>
    </li>
  );
}
