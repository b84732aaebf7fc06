import { Menu } from "@base-ui/react/menu";
import { restartNotice } from "@opensentience/protocol";
import { type AgentAct, isInPlace } from "../acts/agent-act.ts";
import { StopButton } from "../agents/agent-row.tsx";
import { nextAct } from "../agents/next-act.ts";
import { agentPath, goTo } from "../shell/hash-location.ts";
import { Badge, HealthBadge, IsolationBadge, StatusBadge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { useNow } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";

type Props = { agent: Agent; onAct: (act: AgentAct) => void };

export function AgentHead({ agent, tab, onAct }: Props & { tab: string }) {
  const { run } = agent;
  const isLive = run !== null && ["starting", "running", "stopping"].includes(run.status);
  const next = nextAct(agent);
  // Whoever is at the log needs no way to it.
  const isHere = next !== null && "tab" in next && next.tab === tab;
  const isRestart = next !== null && "act" in next && next.act === "restart";
  return (
    <header className="agent-head">
      <div className="agent-head-who">
        <h1>
          <OutsideText text={agent.name} />{" "}
          <span className="agent-head-version">
            <OutsideText text={agent.version} />
          </span>
        </h1>
        {agent.description !== "" && (
          <p className="agent-head-about">
            <OutsideText text={agent.description} />
          </p>
        )}
        <div className="agent-badges">
          <StatusBadge agent={agent} />
          {isLive && <HealthBadge health={run.health} />}
          {isLive && <IsolationBadge isolation={run.isolation} />}
          {agent.approval?.status === "active" && agent.approval.unsandboxed && !isLive && (
            <Badge tone="bad" title="Where no sandbox can be made it runs all the same, until its approval ends.">
              May run without a sandbox
            </Badge>
          )}
          {agent.pending_permissions !== null && <Badge tone="warn">Approval pending</Badge>}
          {agent.drift !== null && <Badge tone="bad">Drifted</Badge>}
          {agent.drift === null && agent.repair_step !== null && <Badge tone="bad">Files changed</Badge>}
          {agent.missing_since !== null && <Badge tone="warn">Gone from disk</Badge>}
          {isLive && run.logs_degraded && <Badge tone="warn">Output is not being kept</Badge>}
          {run !== null && run.leaked_pids.length > 0 && (
            <Badge tone="bad">Processes left: {run.leaked_pids.join(", ")}</Badge>
          )}
          {agent.restart_at !== null && <Pending agent={agent} />}
        </div>
      </div>
      <div className="screen-acts">
        {(isLive || agent.restart_at !== null) && <StopButton agentId={agent.agent_id} labelled />}
        {isLive && !isRestart && (
          <Button icon="restart" onClick={() => onAct("restart")}>
            Restart
          </Button>
        )}
        {next !== null && !isHere && (
          <Button
            kind="primary"
            icon={next.icon}
            onClick={() => ("act" in next ? onAct(next.act) : goTo(agentPath(agent.agent_id, next.tab)))}
          >
            {next.label}
          </Button>
        )}
        <MoreMenu agent={agent} onAct={onAct} />
      </div>
    </header>
  );
}

function Pending({ agent }: { agent: Agent }) {
  return <Badge tone="warn">{restartNotice(agent, useNow())}</Badge>;
}

const MORE: { act: AgentAct; name: string; icon: IconName; isDanger?: boolean }[] = [
  { act: "run", name: "Run…", icon: "play" },
  { act: "build", name: "Build…", icon: "build" },
  { act: "install", name: "Install again…", icon: "download" },
  { act: "update", name: "Update…", icon: "download" },
  { act: "rollback", name: "Roll back…", icon: "restart", isDanger: true },
  { act: "revoke", name: "Revoke approval…", icon: "shield", isDanger: true },
  { act: "remove", name: "Remove…", icon: "cross", isDanger: true },
];

/**
 * What may be possible a moment later is offered always: Core says in words why it cannot be done now. What never is,
 * is not: a folder run in place has no repository behind it, and nothing runs before its approval.
 */
function isOffered(act: AgentAct, agent: Agent): boolean {
  if (act === "update" || act === "rollback") return !isInPlace(agent);
  return act !== "run" || agent.approval?.status === "active";
}

function MoreMenu({ agent, onAct }: Props) {
  return (
    <Menu.Root>
      <Menu.Trigger className="button button-plain button-icon" aria-label={`More acts on ${agent.agent_id}`}>
        <Icon name="more" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className="menu-place" align="end" sideOffset={6}>
          <Menu.Popup className="menu">
            {MORE.filter(({ act }) => isOffered(act, agent)).map(({ act, name, icon, isDanger }) => (
              <Menu.Item
                key={act}
                className={isDanger === true ? "menu-item menu-item-danger" : "menu-item"}
                onClick={() => onAct(act)}
              >
                <Icon name={icon} /> {name}
              </Menu.Item>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
