/** The acts on one agent, by name: which dialog asks for it, and what is read again afterwards. */
import { call, callWithProgress } from "../api/client.ts";
import { OutsideText } from "../ui/outside-text.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { type ActAgent, type ActProps, type AgentAct, isLocal, useAfterAct } from "./agent-act.ts";
import { BuildDialog } from "./build-dialog.tsx";
import { InstallDialog } from "./install-dialog.tsx";
import { RemoveDialog } from "./remove-dialog.tsx";
import { RunDialog } from "./run-dialog.tsx";

export function AgentActDialog({ act, ...props }: ActProps & { act: AgentAct }) {
  switch (act) {
    case "install":
      return <InstallDialog {...props} />;
    case "build":
      return <BuildDialog {...props} />;
    case "run":
      return <RunDialog {...props} />;
    case "restart":
      return <RestartDialog {...props} />;
    case "update":
      return <UpdateDialog {...props} />;
    case "rollback":
      return <RollbackDialog {...props} />;
    case "revoke":
      return <RevokeDialog {...props} />;
    case "remove":
      return <RemoveDialog {...props} />;
  }
}

function RestartDialog({ agent, onClose }: ActProps) {
  return (
    <ActDialog
      title={`Restart ${agent.agent_id}`}
      lead={<p>Its process tree is ended, then it is started again, through the same check as every start.</p>}
      thirdParty
      confirm="Restart"
      icon="restart"
      perform={(_, signal) => call("restart_agent", { params: { agent_id: agent.agent_id } }, signal)}
      done={() => `Restarted ${agent.agent_id}`}
      onClose={onClose}
    />
  );
}

function UpdateDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  return (
    <ActDialog
      title={`Update ${agent.agent_id}`}
      lead={
        <p>
          Fetches <Source agent={agent} /> again and moves to the newest commit. Nothing of it runs; it has to be built
          and reviewed again before its next run.
        </p>
      }
      confirm="Update"
      icon="download"
      perform={(onProgress, signal) =>
        callWithProgress(
          "update_agent",
          { params: { agent_id: agent.agent_id }, body: { allow_local: isLocal(agent.source_git_url) } },
          onProgress,
          signal,
        )
      }
      done={(moved) => {
        after(moved);
        return moved.moved_from === null ? "Nothing newer there" : `Updated ${agent.agent_id} to ${moved.version}`;
      }}
      onClose={onClose}
    />
  );
}

function Source({ agent }: { agent: ActAgent }) {
  return (
    <code>
      <OutsideText text={agent.source_git_url ?? "the source"} />
    </code>
  );
}

function RollbackDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  return (
    <ActDialog
      title={`Roll back ${agent.agent_id}`}
      lead={<p>Goes back to the files from before the last install. The present ones are put aside.</p>}
      confirm="Roll back"
      kind="danger"
      perform={(_, signal) => call("rollback_agent", { params: { agent_id: agent.agent_id } }, signal)}
      done={(back) => {
        after(back);
        return `${agent.agent_id} is ${back.version} again`;
      }}
      onClose={onClose}
    />
  );
}

function RevokeDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  return (
    <ActDialog
      title={`Revoke the approval of ${agent.agent_id}`}
      lead={
        <p>Nothing that it asked for stays approved. If it runs, it is stopped now. You can approve it again later.</p>
      }
      confirm="Revoke"
      kind="danger"
      icon="shield"
      perform={(_, signal) => call("revoke_agent", { params: { agent_id: agent.agent_id } }, signal)}
      done={(revoked) => {
        after(revoked);
        return `Revoked the approval of ${agent.agent_id}`;
      }}
      onClose={onClose}
    />
  );
}
