/**
 * Method and path of each operation of the control API that the page uses. The schemas of the protocol would add their
 * validator to every first load, so only their types are used; the compiler holds this table to theirs.
 */
import type { CONTROL_ROUTES, ControlOperation } from "@opensentience/protocol";
import type { z } from "zod";

type Routes = typeof CONTROL_ROUTES;

export const ROUTES = {
  get_status: { method: "get", path: "/core/status" },
  get_session: { method: "get", path: "/session" },
  sign_out: { method: "post", path: "/session/sign-out" },
  rotate_token: { method: "post", path: "/session/rotate-token" },
  metrics_history: { method: "get", path: "/metrics/history" },
  stop_core: { method: "post", path: "/core/stop" },
  scan: { method: "post", path: "/discovery/scan" },
  list_agents: { method: "get", path: "/agents" },
  get_agent: { method: "get", path: "/agents/{agent_id}" },
  get_manifest: { method: "get", path: "/agents/{agent_id}/manifest" },
  install_agent: { method: "post", path: "/agents/install" },
  update_agent: { method: "post", path: "/agents/{agent_id}/update" },
  rollback_agent: { method: "post", path: "/agents/{agent_id}/rollback" },
  remove_agent: { method: "post", path: "/agents/{agent_id}/remove" },
  plan_build: { method: "get", path: "/agents/{agent_id}/build/plan" },
  build_agent: { method: "post", path: "/agents/{agent_id}/build" },
  enable_agent: { method: "post", path: "/agents/{agent_id}/enable" },
  revoke_agent: { method: "post", path: "/agents/{agent_id}/revoke" },
  diff_agent: { method: "get", path: "/agents/{agent_id}/diff" },
  run_agent: { method: "post", path: "/agents/{agent_id}/run" },
  stop_agent: { method: "post", path: "/agents/{agent_id}/stop" },
  restart_agent: { method: "post", path: "/agents/{agent_id}/restart" },
  read_logs: { method: "get", path: "/agents/{agent_id}/logs" },
  list_runs: { method: "get", path: "/runs" },
  list_tools: { method: "get", path: "/tools" },
  get_tool: { method: "get", path: "/tools/{agent_id}/{tool_name}" },
  stream_tool_call: { method: "post", path: "/tools/{agent_id}/{tool_name}/stream" },
  list_audit: { method: "get", path: "/audit/events" },
  list_audit_types: { method: "get", path: "/audit/types" },
  get_audit: { method: "get", path: "/audit/events/{event_id}" },
  export_audit: { method: "get", path: "/audit/export" },
  verify_audit: { method: "post", path: "/audit/verify" },
  check_health: { method: "get", path: "/doctor" },
} as const satisfies { [O in ControlOperation]?: Pick<Routes[O], "method" | "path"> };

export type PageOperation = keyof typeof ROUTES;

type InputOf<Route, Part extends string> = Route extends { [P in Part]: infer Schema extends z.ZodType }
  ? z.input<Schema>
  : never;

export type RequestOf<O extends PageOperation> = {
  params?: InputOf<Routes[O], "params">;
  query?: { [K in keyof InputOf<Routes[O], "query">]?: string | number | boolean | undefined };
  body?: InputOf<Routes[O], "body">;
};

export type ResponseOf<O extends PageOperation> = z.infer<Routes[O]["response"]>;

/** Request line of a call; what came from outside is percent-encoded, so that an id stays inside its segment. */
export function requestPath(
  operation: PageOperation,
  params: Record<string, string | undefined> = {},
  query: Record<string, string | number | boolean | undefined> = {},
): string {
  const path = ROUTES[operation].path.replace(/\{(\w+)\}/g, (_, name: string) => encodeSegment(params[name] ?? ""));
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return `/api/v1${path}${text === "" ? "" : `?${text}`}`;
}

/** SECURITY: an id of ".." (encoded or not: URLs read both alike) would reach another route; pinned by "an id stays inside its path segment". */
function encodeSegment(text: string): string {
  if (/^\.{0,2}$/.test(text)) throw new Error(`"${text}" is not an id`);
  return encodeURIComponent(text);
}
