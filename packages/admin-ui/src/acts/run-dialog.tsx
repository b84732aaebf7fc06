import { commandText } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { call } from "../api/client.ts";
import { agentQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { agentPath, goTo } from "../shell/hash-location.ts";
import { Choice, TextField } from "../ui/field.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";
import { ActDialog } from "./act-dialog.tsx";
import type { ActProps } from "./agent-act.ts";

type Restart = "never" | "on-failure" | "always";

const RESTARTS: [Restart, string][] = [
  ["never", "Never"],
  ["on-failure", "When it fails"],
  ["always", "Always"],
];

/** Starts the agent, then shows its log. */
export function RunDialog({ agent, onClose }: ActProps) {
  const detail = useQuery(agentQuery(agent.agent_id));
  const [lines, setLines] = useState("");
  const [restart, setRestart] = useState<Restart | "">("");
  const args = lines.split("\n").filter((line) => line !== "");
  return (
    <ActDialog
      title={`Run ${agent.agent_id}`}
      thirdParty
      lead={<p>Core compares every file with what you approved, then starts it as a process of its own.</p>}
      confirm="Run"
      icon="play"
      perform={(_, signal) =>
        call(
          "run_agent",
          {
            params: { agent_id: agent.agent_id },
            body: { ...(args.length === 0 ? {} : { args }), ...(restart === "" ? {} : { restart }) },
          },
          signal,
        )
      }
      done={(run) => {
        goTo(agentPath(agent.agent_id, "log"));
        return `${agent.agent_id} runs as process ${run.pid ?? "?"}`;
      }}
      onClose={onClose}
    >
      {detail.isError && <ProblemBox problem={detail.error} />}
      {detail.data !== undefined && <What agent={detail.data} args={args} />}
      <TextField
        label="Arguments"
        hint="One per line; they come after those of the manifest."
        value={lines}
        onChange={setLines}
        rows={2}
        code
      />
      <Choice
        label="Start it again"
        value={restart}
        onChange={setRestart}
        options={[["", asNow(detail.data?.restart_policy)], ...RESTARTS]}
      />
    </ActDialog>
  );
}

/** What the choice to choose nothing means: the answer of the agent comes a moment after the dialog. */
function asNow(policy: Restart | undefined): string {
  const name = RESTARTS.find(([key]) => key === policy)?.[1];
  return name === undefined ? "As the agent has it" : `As now: ${name.toLowerCase()}`;
}

function What({ agent, args }: { agent: ResponseOf<"get_agent">; args: string[] }) {
  const approved = agent.requested_permissions.filter((permission) => permission.approved).length;
  const { entrypoint } = agent;
  const command = commandText([...(entrypoint === null ? [] : [entrypoint.value, ...entrypoint.args]), ...args]);
  return (
    <dl className="facts">
      <dt>Starts</dt>
      <dd>
        <code>
          <OutsideText text={command} />
        </code>
      </dd>
      <dt>May</dt>
      <dd>
        {agent.requested_permissions.length === 0
          ? "It asked for no permission"
          : `${approved} of ${counted(agent.requested_permissions.length, "permission")} approved`}
      </dd>
      <dt>Held</dt>
      <dd>{agent.held}</dd>
    </dl>
  );
}
