import { useState } from "react";
import type { AgentAct } from "../acts/agent-act.ts";
import { useStore } from "../live/store.ts";
import { Button } from "../ui/button.tsx";
import { EmptyNote } from "../ui/empty-note.tsx";
import { fullTime, useNow, duration } from "../ui/time.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import type { Agent } from "./agent-screen.tsx";
import { ApproveForm } from "./approve-form.tsx";
import { DriftView } from "./drift-view.tsx";
import { ForeignManifest } from "./foreign-manifest.tsx";
import { focusOnce, lastApproved } from "./last-approved.ts";
import { PermissionRow } from "./permission-row.tsx";
import { standingOf } from "./permission-standing.ts";

/**
 * The review: what is asked for, in words, and which of it the operator approves. Exactly this state of the agent is
 * approved: Core refuses when the manifest or the commit is another one by then.
 */
export function PermissionsTab({ agent, onAct }: { agent: Agent; onAct: (act: AgentAct) => void }) {
  const wanted = agent.requested_permissions;
  const before = agent.approval?.approved_permissions ?? [];
  // A review starts from what was approved and is still asked for; nothing new is ever chosen beforehand.
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    () => new Set(wanted.map(({ permission }) => permission).filter((permission) => before.includes(permission))),
  );
  const toggle = (permission: string, isOn: boolean): void => {
    const next = new Set(chosen);
    if (isOn) next.add(permission);
    else next.delete(permission);
    setChosen(next);
  };
  const isAll = chosen.size === wanted.length;
  return (
    <div className="stack">
      <Standing agent={agent} />
      <ForeignManifest agent={agent} />
      {agent.drift !== null && <DriftView drift={agent.drift} />}
      <section className="card card-flush" aria-labelledby="asks">
        <div className="card-head">
          <h2 id="asks">What it asks for</h2>
          {wanted.length > 0 && (
            <Button
              small
              kind="quiet"
              onClick={() => setChosen(isAll ? new Set() : new Set(wanted.map(({ permission }) => permission)))}
            >
              {isAll ? "Choose none" : "Choose all"}
            </Button>
          )}
        </div>
        {wanted.length === 0 ? (
          <EmptyNote icon="shield" title="It asks for no permission">
            <p>
              {agent.approval === null
                ? "It still has to be approved before it may run: the approval holds for exactly these files."
                : "What was approved is that it runs, with exactly these files."}
            </p>
          </EmptyNote>
        ) : (
          <ul className="permissions">
            {wanted.map((permission) => (
              <PermissionRow
                key={permission.permission}
                permission={permission}
                isChosen={chosen.has(permission.permission)}
                standing={standingOf(permission.permission, agent.approval, agent.drift)}
                onToggle={(isOn) => toggle(permission.permission, isOn)}
              />
            ))}
          </ul>
        )}
        <ApproveForm agent={agent} chosen={chosen} onAct={onAct} />
      </section>
    </div>
  );
}

/** Whether it may run, since when, by whom, until when. */
function Standing({ agent }: { agent: Agent }) {
  const { approval } = agent;
  const now = useNow();
  const last = useStore(lastApproved);
  if (approval === null) return <p className="notice">Nothing is approved yet, so Core will not start it.</p>;
  const by = `${fullTime(approval.approved_at)} by ${approval.approved_by}`;
  if (approval.status !== "active")
    return (
      <p className="notice notice-warn">
        The approval of {by} is {approval.status}; Core will not start it.
      </p>
    );
  const isLast = last?.approvalId === approval.approval_id;
  const left = approval.expires_at === null ? null : Date.parse(approval.expires_at) - now;
  return (
    <div
      className={agent.drift === null && !approval.unsandboxed ? "notice notice-ok" : "notice notice-bad"}
      tabIndex={-1}
      ref={isLast ? focusOnce(last) : null}
    >
      <div>
        Approved {by}
        {left !== null && (left > 0 ? `, for another ${duration(left)}` : ", expired")}.
        {agent.drift !== null && " It is no longer what was approved, so Core will not start it."}
        {approval.unsandboxed && (
          <>
            {" "}
            <strong>Where no sandbox can be made it may run without one.</strong>
          </>
        )}
        {isLast &&
          last.takenAway.map((line) => (
            <p key={line} className="taken-away">
              <OutsideText text={line} />
            </p>
          ))}
      </div>
    </div>
  );
}
