/**
 * The last step of a review: for how long, and whether it may do without a sandbox. The second is a grant of its own:
 * it needs an end, and a second press in a dialog that says plainly what it means.
 */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { ActDialog } from "../acts/act-dialog.tsx";
import { type AgentAct, useAfterAct } from "../acts/agent-act.ts";
import { StopButton } from "../agents/agent-row.tsx";
import { nextAct } from "../agents/next-act.ts";
import { call } from "../api/client.ts";
import { agentQuery, statusQuery } from "../api/queries.ts";
import type { RequestOf } from "../api/routes.ts";
import { announce } from "../shell/announcer.tsx";
import { Button } from "../ui/button.tsx";
import { Check, Choice } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";
import { type Approved, keepApproved } from "./last-approved.ts";

const FOR_EVER = "";
const EXPIRIES = [
  [FOR_EVER, "Until I revoke it"],
  ["1h", "For an hour"],
  ["12h", "For 12 hours"],
  ["1d", "For a day"],
  ["7d", "For a week"],
  ["30d", "For 30 days"],
] as const;
type Expiry = (typeof EXPIRIES)[number][0];
const WITH_END = EXPIRIES.filter(([expiry]) => expiry !== FOR_EVER);

type Props = { agent: Agent; chosen: ReadonlySet<string>; onAct: (act: AgentAct) => void };

export function ApproveForm({ agent, chosen, onAct }: Props) {
  const asked = agent.requested_permissions.length;
  const reason = useId();
  const [expires, setExpires] = useState<Expiry>(FOR_EVER);
  const [isUnsandboxed, setUnsandboxed] = useState(false);
  const [isSure, setSure] = useState(false);
  const done = useApproved(chosen);
  const perform = async (signal?: AbortSignal): Promise<Approved> => ({
    before: agent,
    now: await call("enable_agent", approval(agent, chosen, expires, isUnsandboxed), signal),
  });
  const state = stateOf(agent);
  // A refusal speaks of the state that it was given for: once the agent is another one, it is over.
  const client = useQueryClient();
  const approve = useMutation({
    mutationFn: (_state: string) => perform(),
    onSuccess: done,
    // What is refused is mostly not what is on the screen any more, and of changed files no event tells.
    onError: () => void client.invalidateQueries({ queryKey: agentQuery(agent.agent_id).queryKey }),
  });
  const { repair_step: repair } = agent;
  return (
    <>
      {approve.isError && approve.variables === state && <ProblemBox problem={approve.error} />}
      {repair !== null && <ChangedFiles id={reason} agent={agent} repair={repair} onAct={onAct} />}
      <div className="approve">
        <Check
          label="Where no sandbox can be made, let it run without one"
          hint={<SandboxHere />}
          checked={isUnsandboxed}
          onChange={(isOn) => {
            setUnsandboxed(isOn);
            if (isOn && expires === FOR_EVER) setExpires("1d");
          }}
        />
        <div className="card-foot">
          <Choice
            label="For how long"
            value={expires}
            options={isUnsandboxed ? WITH_END : EXPIRIES}
            onChange={setExpires}
          />
          <Button
            kind={isUnsandboxed ? "danger" : "primary"}
            icon={isUnsandboxed ? "alert" : "shield"}
            busy={approve.isPending}
            disabled={repair !== null}
            aria-describedby={repair === null ? undefined : reason}
            onClick={() => (isUnsandboxed ? setSure(true) : approve.mutate(state))}
          >
            {asked === 0 ? "Approve" : `Approve ${chosen.size} of ${asked}`}
            {isUnsandboxed && " without a sandbox…"}
          </Button>
        </div>
      </div>
      {isSure && (
        <UnsandboxedDialog
          agent={agent}
          until={EXPIRIES.find(([expiry]) => expiry === expires)?.[1] ?? expires}
          perform={perform}
          onDone={done}
          onClose={() => setSure(false)}
        />
      )}
    </>
  );
}

/** All that an approval depends on. */
function stateOf({
  manifest_hash: manifest,
  source_commit: commit,
  build_last_at: built,
  approval,
  drift,
  repair_step: repair,
}: Agent): string {
  return JSON.stringify([manifest, commit, built, approval, drift, repair]);
}

type ChangedProps = { id: string; agent: Agent; repair: string; onAct: Props["onAct"] };

/** Why nothing can be approved now, and the one act that comes first. */
function ChangedFiles({ id, agent, repair, onAct }: ChangedProps) {
  const isRunning = agent.status === "running";
  const next = nextAct({ next_step: repair });
  return (
    <div className="notice notice-warn approve-first">
      <Icon name="alert" />
      <span id={id}>
        Nothing can be approved while its files are not those of the installed commit.{" "}
        {isRunning ? "They can be put back once it is stopped." : next !== null && `${next.label} puts them back.`}
      </span>
      {isRunning && <StopButton agentId={agent.agent_id} labelled small />}
      {next !== null && "act" in next && (
        <Button small icon={next.icon} onClick={() => onAct(next.act)}>
          {next.label}
        </Button>
      )}
    </div>
  );
}

/** Exactly the state that is on the screen. */
function approval(agent: Agent, chosen: ReadonlySet<string>, expires: Expiry, isUnsandboxed: boolean) {
  return {
    params: { agent_id: agent.agent_id },
    body: {
      approve: [...chosen],
      ...(expires === FOR_EVER ? {} : { expires }),
      ...(isUnsandboxed ? { unsandboxed: true } : {}),
      ...(agent.manifest_hash === null ? {} : { expected_manifest_hash: agent.manifest_hash }),
      ...(agent.source_commit === null ? {} : { expected_commit: agent.source_commit }),
    },
  } satisfies RequestOf<"enable_agent">;
}

function useApproved(chosen: ReadonlySet<string>) {
  const after = useAfterAct();
  return (approved: Approved): void => {
    const { before, now } = approved;
    keepApproved(approved);
    after(now);
    const asked = counted(before.requested_permissions.length, "permission");
    announce(`Approved ${chosen.size} of ${asked} of ${now.agent_id}`);
  };
}

/** Whether the grant changes anything on this machine today. */
function SandboxHere() {
  const status = useQuery(statusQuery).data;
  if (status === undefined) return <>It needs an end.</>;
  const mode = status.config.find(({ key }) => key === "sandbox.mode")?.value;
  if (mode === "off")
    return <>Sandboxes are switched off for this Core (sandbox.mode): every agent runs without one.</>;
  if (status.isolation === "sandbox")
    return <>A sandbox can be made on this machine, and is: this would only count where that fails one day.</>;
  return (
    <>
      No sandbox can be made on this machine (<OutsideText text={status.isolation_reason ?? "no reason was given"} />
      ): without this, Core refuses to start it.
    </>
  );
}

type DialogProps = {
  agent: Agent;
  until: string;
  perform: (signal: AbortSignal) => Promise<Approved>;
  onDone: (approved: Approved) => void;
  onClose: () => void;
};

function UnsandboxedDialog({ agent, until, perform, onDone, onClose }: DialogProps) {
  const [isUnderstood, setUnderstood] = useState(false);
  return (
    <ActDialog
      title={`Approve ${agent.agent_id} without a sandbox`}
      thirdParty
      lead={
        <>
          <p>
            Without a sandbox <strong>nothing holds it to what you approve</strong>: it can read and change every file
            that you can, reach every host, and leave things behind. The permissions are then only what it was asked to
            keep to.
          </p>
          <p>This holds for exactly these files, and ends by itself. The page shows it for as long as it runs so.</p>
        </>
      }
      confirm="Approve without a sandbox"
      kind="danger"
      icon="alert"
      canConfirm={isUnderstood}
      perform={(_, signal) => perform(signal)}
      done={(approved) => {
        onDone(approved);
        return `${agent.agent_id} may run without a sandbox`;
      }}
      onClose={onClose}
    >
      <dl className="facts">
        <dt>Approved</dt>
        <dd>{until}</dd>
      </dl>
      <Check
        label="I trust this code with everything that I can do myself"
        checked={isUnderstood}
        onChange={setUnderstood}
      />
    </ActDialog>
  );
}
