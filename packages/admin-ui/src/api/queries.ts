/** What the page reads, each with the key it is kept under; live events change or refresh exactly these keys. */
import type { AgentJson, PsItemJson } from "@opensentience/protocol";
import { queryOptions } from "@tanstack/react-query";
import { call } from "./client.ts";

const PAGE = 500;

export const agentsQuery = queryOptions({
  queryKey: ["agents"],
  queryFn: ({ signal }) =>
    everyPage<AgentJson>((cursor) => call("list_agents", { query: { limit: PAGE, cursor } }, signal)),
});

/** Live runs by agent, with what they use of the machine. */
export const liveRunsQuery = queryOptions({
  queryKey: ["runs", "live"],
  queryFn: ({ signal }) =>
    everyPage<PsItemJson>((cursor) => call("list_runs", { query: { limit: PAGE, cursor } }, signal)),
});

export const agentQuery = (agentId: string) =>
  queryOptions({
    queryKey: ["agent", agentId],
    queryFn: ({ signal }) => call("get_agent", { params: { agent_id: agentId } }, signal),
  });

/** The file as it stands on disk. */
export const manifestQuery = (agentId: string) =>
  queryOptions({
    queryKey: ["manifest", agentId],
    queryFn: ({ signal }) => call("get_manifest", { params: { agent_id: agentId } }, signal),
    staleTime: 0,
    retry: false,
  });

export const planQuery = (agentId: string) =>
  queryOptions({
    queryKey: ["plan", agentId],
    queryFn: ({ signal }) => call("plan_build", { params: { agent_id: agentId } }, signal),
    // Looking at it is an event of its own: once a dialog, whatever else is asked for anew.
    staleTime: "static",
    gcTime: 0,
  });

/** Runs of an agent, newest first; the page shows the newest ones. */
export const agentRunsQuery = (agentId: string) =>
  queryOptions({
    queryKey: ["runs", "agent", agentId],
    queryFn: ({ signal }) => call("list_runs", { query: { agent: agentId, all: true, limit: 50 } }, signal),
  });

export const toolsQuery = (agentId: string) =>
  queryOptions({
    queryKey: ["tools", agentId],
    queryFn: ({ signal }) => call("list_tools", { query: { agent: agentId } }, signal),
  });

export const toolQuery = (agentId: string, toolName: string) =>
  queryOptions({
    queryKey: ["tools", agentId, toolName],
    queryFn: ({ signal }) => call("get_tool", { params: { agent_id: agentId, tool_name: toolName } }, signal),
  });

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: ({ signal }) => call("get_status", {}, signal),
});

export const doctorQuery = queryOptions({
  queryKey: ["doctor"],
  queryFn: ({ signal }) => call("check_health", {}, signal),
});

async function everyPage<T>(
  read: (cursor: string | undefined) => Promise<{ items: T[]; next: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await read(cursor);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}
