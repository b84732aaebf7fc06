/**
 * What a test of runs does again and again in one home, each through the command line. Only who looks until something
 * is there looks on the control socket: a process for each look keeps the machine too busy for what is waited for.
 */
import type { AgentDetailJson, LogRecordJson, RunJson } from "@opensentience/protocol";
import { auditRows } from "./audit-rows.ts";
import { type CoreHome, eventually, type Files } from "./core-home.ts";
import { controlOf } from "./control-of.ts";
import { smallAgentAt } from "./small-agent.ts";

export type Run = RunJson & { pid: number };
export type AgentInfo = { status: string; last_error: string | null; restart_policy: string; run: Run };

export type AgentActs = {
  enabled: (agentId: string, files: Files, changes?: Record<string, unknown>) => Promise<void>;
  run: (agentId: string, ...args: string[]) => Promise<Run>;
  stop: (agentId: string) => Promise<Run>;
  info: (agentId: string) => Promise<AgentInfo>;
  /** The newest run of the agent. */
  newest: (agentId: string) => Promise<Run>;
  /** The newest run once it is over. */
  ended: (agentId: string) => Promise<Run>;
  /** Every run of the agent, oldest first. */
  runsOf: (agentId: string) => Promise<Run[]>;
  /** Lines of the newest run. */
  logs: (agentId: string, ...args: string[]) => Promise<string[]>;
  /** Waits until that line is in the log. */
  said: (agentId: string, line: string) => Promise<true>;
  /** Events of one run, `<type> <phase>`, in order. */
  eventsOf: (runId: string) => string[];
};

/** Waits until what Core tells of the agent is so. */
export async function agentBecomes(
  home: CoreHome,
  agentId: string,
  isSo: (agent: AgentDetailJson) => boolean,
  timeoutMs?: number,
): Promise<void> {
  const control = await controlOf(home);
  const look = async (): Promise<boolean> => isSo(await control.call("get_agent", { params: { agent_id: agentId } }));
  await eventually(look, `${agentId} to become so: ${String(isSo)}`, timeoutMs);
}

export function actsIn(home: () => CoreHome): AgentActs {
  const info = (agentId: string): Promise<AgentInfo> => home().json<AgentInfo>(["agents", "info", agentId]);
  const newest = async (agentId: string): Promise<Run> => (await info(agentId)).run;
  const logs = async (agentId: string, ...args: string[]): Promise<string[]> => {
    const records = await home().jsonLines<LogRecordJson>(["agents", "logs", agentId, ...args]);
    return records.map(({ line }) => line);
  };
  return {
    enabled: async (agentId, files, changes = {}) =>
      void (await smallAgentAt(home(), agentId, "enabled", changes, files)),
    run: (agentId, ...args) => home().json<Run>(["agents", "run", agentId, ...args]),
    stop: (agentId) => home().json<Run>(["agents", "stop", agentId]),
    info,
    newest,
    ended: async (agentId) => {
      await agentBecomes(home(), agentId, ({ run }) => run?.status === "stopped" || run?.status === "crashed");
      return await newest(agentId);
    },
    runsOf: async (agentId) => {
      const { items } = await home().json<{ items: Run[] }>(["agents", "ps", "--all"]);
      return items.filter((one) => one.agent_id === agentId).toReversed();
    },
    logs,
    said: async (agentId, line) => {
      const control = await controlOf(home());
      return await eventually(async () => {
        for await (const record of control.lines("read_logs", { params: { agent_id: agentId }, query: {} }))
          if (record.line === line) return true;
        return false;
      }, `${agentId} to say "${line}"`);
    },
    eventsOf: (runId) =>
      auditRows(home())
        .filter(({ subject }) => subject === runId)
        .map(({ type, metadata }) => `${type} ${String(metadata["phase"])}`),
  };
}
