import { Dialog } from "@base-ui/react/dialog";
import { commandText, type DriftJson } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useDrift } from "../agents/drift.tsx";
import { callWithProgress } from "../api/client.ts";
import { planQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
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
  const toPutBack = changedFiles(useDrift(agent, 0));
  const [putBack, setPutBack] = useState<readonly string[]>();
  if (putBack !== undefined) return <BuiltReport agentId={agent.agent_id} putBack={putBack} onClose={onClose} />;
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
      confirm={isEmpty && toPutBack.length === 0 ? "Record the build" : "Build"}
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
        if (back > 0) setPutBack(built.put_back);
        return `Built ${agent.agent_id}${back === 0 ? "" : `; ${counted(back, "changed file")} put back first`}`;
      }}
      keepOpen={(built) => built.put_back.length > 0}
      onClose={onClose}
    >
      {toPutBack.length > 0 && <FileList title="Will be put back" paths={toPutBack} />}
      {plan.isPending && <p className="muted">Reading the plan…</p>}
      {plan.isError && <ProblemBox problem={plan.error} onRetry={() => void plan.refetch()} />}
      {plan.data !== undefined && !isEmpty && <Plan plan={plan.data} />}
    </ActDialog>
  );
}

/** Those that a build undoes, as far as the drift tells; what it did put back, it says itself. */
function changedFiles(drift: DriftJson | null): string[] {
  if (drift === null) return [];
  const { added, removed, changed } = drift.diff.files;
  return [...changed, ...removed, ...added];
}

type ReportProps = { agentId: string; putBack: readonly string[]; onClose: () => void };

/** Somebody had changed them: whoever repairs an agent wants to know what, for longer than a passing word. */
function BuiltReport({ agentId, putBack, onClose }: ReportProps) {
  return (
    <Dialog.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Built {agentId}</Dialog.Title>
          <Dialog.Description className="dialog-lead">
            These files were not those of the installed commit any more. They were put back before the build; what
            somebody had added was taken away.
          </Dialog.Description>
          <div className="dialog-body">
            <FileList title="Put back" paths={putBack} />
          </div>
          <div className="dialog-buttons">
            <Button kind="primary" onClick={onClose}>
              Close
            </Button>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function FileList({ title, paths }: { title: string; paths: readonly string[] }) {
  const id = useId();
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
