import { commandText } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { callWithProgress } from "../api/client.ts";
import { planQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { Badge } from "../ui/badge.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { type ActProps, useAfterAct } from "./agent-act.ts";

/** Shows exactly the plan that is then built: Core refuses when it is no longer this one. */
export function BuildDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  const plan = useQuery(planQuery(agent.agent_id));
  const isEmpty = plan.data?.steps.length === 0;
  return (
    <ActDialog
      title={`Build ${agent.agent_id}`}
      thirdParty={!isEmpty}
      lead={
        isEmpty ? (
          <p>There is nothing to run: the build only records that these files need none.</p>
        ) : (
          <p>These commands are run in the agent’s folder, in this order. Nothing else is.</p>
        )
      }
      confirm={isEmpty ? "Record the build" : "Build"}
      icon="build"
      canConfirm={plan.data !== undefined}
      perform={(onProgress, signal) =>
        callWithProgress(
          "build_agent",
          {
            params: { agent_id: agent.agent_id },
            body: plan.data === undefined ? {} : { expected_plan: plan.data.digest },
          },
          onProgress,
          signal,
        )
      }
      done={(built) => {
        after(built);
        const back = built.put_back.length;
        return `Built ${agent.agent_id}${back === 0 ? "" : `; ${counted(back, "changed file")} put back first`}`;
      }}
      onClose={onClose}
    >
      {plan.isPending && <p className="muted">Reading the plan…</p>}
      {plan.isError && <ProblemBox problem={plan.error} onRetry={() => void plan.refetch()} />}
      {plan.data !== undefined && !isEmpty && <Plan plan={plan.data} />}
    </ActDialog>
  );
}

function Reach({ reach }: { reach: ResponseOf<"plan_build">["steps"][number]["reach"] }) {
  if (reach === "none") return <Badge tone="ok">no network</Badge>;
  if (reach === "machine") return <Badge tone="bad">may use this machine's whole network</Badge>;
  return (
    <Badge tone="warn" title="Public hosts and those that build.hosts names, through Core's proxy, which records them.">
      may use the network
    </Badge>
  );
}

function Plan({ plan }: { plan: ResponseOf<"plan_build"> }) {
  return (
    <ol className="plan" aria-label="Build plan">
      {plan.steps.map((step, index) => (
        <li key={index} className="plan-step">
          <code className="plan-command">
            <OutsideText text={commandText(step.argv)} />
          </code>
          <span className="plan-facts">
            <Badge>{step.phase}</Badge>
            <Reach reach={step.reach} />
          </span>
        </li>
      ))}
    </ol>
  );
}
