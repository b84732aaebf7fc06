import type { ReactNode } from "react";
import { Link } from "wouter";
import { buildLogPath } from "../shell/hash-location.ts";
import { Icon } from "../ui/icon.tsx";
import { counted, Time } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";

type State = "done" | "todo" | "trouble" | "busy";
type Step = { name: string; state: State; text: ReactNode };

const SPOKEN: Record<State, string> = { done: "done", todo: "to do", trouble: "needs a look", busy: "under way" };

/** Install, build, approve, run: four separate acts, and where this agent stands with each. */
export function StepRail({ agent }: { agent: Agent }) {
  return (
    <ol className="rail" aria-label="Steps of this agent">
      {[installed(agent), built(agent), approved(agent), runs(agent)].map(({ name, state, text }) => (
        <li key={name} className={`rail-step rail-${state}`}>
          <span className="rail-mark" aria-hidden="true">
            {state === "done" && <Icon name="check" size={14} />}
            {state === "trouble" && <Icon name="alert" size={14} />}
            {state === "busy" && <span className="spinner" />}
          </span>
          <span className="rail-name">
            {name}
            <span className="visually-hidden">: {SPOKEN[state]}</span>
          </span>
          <span className="rail-text">{text}</span>
        </li>
      ))}
    </ol>
  );
}

function installed(agent: Agent): Step {
  const name = "Install";
  if (agent.install_path === null) return { name, state: "todo", text: "Not on this machine" };
  if (agent.source_commit === null) return { name, state: "done", text: "Run in place" };
  return { name, state: "done", text: <code>{agent.source_commit.slice(0, 12)}</code> };
}

function built(agent: Agent): Step {
  const name = "Build";
  switch (agent.build_status) {
    case "built":
      return { name, state: "done", text: agent.build_last_at === null ? "Built" : <Time at={agent.build_last_at} /> };
    case "building":
      return { name, state: "busy", text: "Building…" };
    case "failed":
      return { name, state: "trouble", text: <Link href={buildLogPath(agent.agent_id)}>The last build failed</Link> };
    default:
      return { name, state: "todo", text: "Not built" };
  }
}

function approved({ approval, drift, requested_permissions: wanted }: Agent): Step {
  const name = "Approve";
  const none = wanted.length === 0 ? "It asks for no permission" : null;
  if (drift !== null) return { name, state: "trouble", text: "Moved since then" };
  if (approval === null)
    return { name, state: "todo", text: none ?? `${counted(wanted.length, "permission")} asked for` };
  if (approval.status !== "active") return { name, state: "todo", text: `The approval is ${approval.status}` };
  const count = wanted.filter((permission) => permission.approved).length;
  return { name, state: "done", text: none ?? `${count} of ${counted(wanted.length, "permission")}` };
}

function runs({ run, restart_at: restartAt }: Agent): Step {
  const name = "Run";
  if (restartAt !== null) return { name, state: "busy", text: "Waits to be started again" };
  if (run === null) return { name, state: "todo", text: "Never ran" };
  if (run.status === "running") return { name, state: "done", text: `Process ${run.pid ?? "?"}` };
  if (run.status === "starting" || run.status === "stopping") return { name, state: "busy", text: `${run.status}…` };
  return run.status === "crashed"
    ? { name, state: "trouble", text: run.reason ?? "Crashed" }
    : { name, state: "todo", text: "Stopped" };
}
