import type { AgentJson } from "@opensentience/protocol";
import type { AgentAct } from "../acts/agent-act.ts";
import type { IconName } from "../ui/icon.tsx";

/** The one obvious next act: either a dialog of this page, or a tab of the agent's screen. */
export type NextAct = { label: string; icon: IconName } & ({ act: AgentAct } | { tab: string });

const BY_VERB: Record<string, NextAct> = {
  install: { label: "Install", icon: "download", act: "install" },
  build: { label: "Build", icon: "build", act: "build" },
  enable: { label: "Review", icon: "shield", tab: "permissions" },
  diff: { label: "Review change", icon: "shield", tab: "permissions" },
  run: { label: "Run", icon: "play", act: "run" },
  restart: { label: "Restart", icon: "restart", act: "restart" },
  logs: { label: "Log", icon: "log", tab: "log" },
};

/** Core says it, as a command; the page has a button for the same. Null where it has none. */
export function nextAct(agent: Pick<AgentJson, "next_step">): NextAct | null {
  const verb = verbOf(agent.next_step);
  return (verb === undefined ? undefined : BY_VERB[verb]) ?? null;
}

function verbOf(step: string | null): string | undefined {
  return /^opensentience agents (\w+)/.exec(step ?? "")?.[1];
}
