import { type BuildPlanJson, commandText } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { callWithProgress } from "../api/client.ts";
import { toProblem } from "../api/problem.ts";
import { planQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { Badge } from "../ui/badge.tsx";
import { Breakable } from "../ui/breakable.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { type ActProps, useAfterAct } from "./agent-act.ts";
import { ReportDialog } from "./report-dialog.tsx";

/** Shows exactly the plan that is then built: Core refuses when it is no longer this one. */
export function BuildDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  const plan = useQuery(planQuery(agent.agent_id));
  const isEmpty = plan.data?.steps.length === 0;
  const toPutBack = plan.data?.put_back_count ?? 0;
  const [built, setBuilt] = useState<PutBack>();
  if (built !== undefined) return <BuiltReport agentId={agent.agent_id} files={built} onClose={onClose} />;
  return (
    <ActDialog
      title={`Build ${agent.agent_id}`}
      thirdParty={!isEmpty}
      lead={
        <>
          <p>
            {isEmpty
              ? "There is no command to run: the build records that these files need none."
              : "These commands are run in the agent’s folder, in this order. Nothing else is."}
          </p>
          {agent.source_commit !== null && (
            <p>It begins with exactly the files of the installed commit: what was changed in them is put back first.</p>
          )}
        </>
      }
      confirm={isEmpty && toPutBack === 0 ? "Record the build" : "Build"}
      icon="build"
      canConfirm={plan.data !== undefined}
      perform={async (onProgress, signal) => {
        const params = { agent_id: agent.agent_id };
        const body = plan.data === undefined ? {} : { expected_plan: plan.data.digest };
        try {
          return await callWithProgress("build_agent", { params, body }, onProgress, signal);
        } catch (thrown) {
          // The next press is for the plan that there is now.
          if (toProblem(thrown).code === "build.plan_changed") void plan.refetch();
          throw thrown;
        }
      }}
      done={(agentNow) => {
        after(agentNow);
        const { put_back_count: back } = agentNow;
        if (back > 0) setBuilt(agentNow);
        return `Built ${agent.agent_id}${back === 0 ? "" : `; ${counted(back, "changed file")} put back first`}`;
      }}
      keepOpen={({ put_back_count: back }) => back > 0}
      onClose={onClose}
    >
      {plan.data !== undefined && toPutBack > 0 && <FileList title="Will be put back" files={plan.data} />}
      {plan.isPending && <p className="muted">Reading the plan…</p>}
      {plan.isError && <ProblemBox problem={plan.error} onRetry={() => void plan.refetch()} />}
      {plan.data !== undefined && !isEmpty && <Plan plan={plan.data} />}
    </ActDialog>
  );
}

/** Of very many files Core names the first and counts all. */
type PutBack = Pick<BuildPlanJson, "put_back" | "put_back_count">;
const SHOWN_FILES = 50;

type ReportProps = { agentId: string; files: PutBack; onClose: () => void };

/** Somebody had changed them: whoever repairs an agent wants to know what. */
function BuiltReport({ agentId, files, onClose }: ReportProps) {
  return (
    <ReportDialog
      title={<Breakable text={`Built ${agentId}`} />}
      lead="These files were not those of the installed commit any more. They were put back before the build; what somebody had added was taken away."
      onClose={onClose}
    >
      <FileList title="Put back" files={files} />
    </ReportDialog>
  );
}

function FileList({ title, files }: { title: string; files: PutBack }) {
  const id = useId();
  const paths = files.put_back.slice(0, SHOWN_FILES);
  const more = files.put_back_count - paths.length;
  return (
    <section aria-labelledby={id}>
      <h3 id={id} className="small-title">
        {title}
      </h3>
      <ul className="findings">
        {paths.map((path) => (
          <li key={path}>
            <code>
              <OutsideText text={path} />
            </code>
          </li>
        ))}
        {paths.length === 0 && <li>The whole source, which could not be read</li>}
        {paths.length > 0 && more > 0 && <li className="muted">and {more.toLocaleString()} more</li>}
      </ul>
    </section>
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
