/**
 * Method and path of each operation of the control API, as the command line calls them.
 *
 * The schemas of protocol/control.ts cost start-up time, so only their types are used here; the compiler holds this
 * table to that one, key by key and literal by literal.
 */
import { type CONTROL_ROUTES, type ControlOperation, CoreError } from "@opensentience/protocol";
import type { z } from "zod";

type Routes = typeof CONTROL_ROUTES;

export const ROUTES = {
  get_status: { method: "get", path: "/core/status" },
  stop_core: { method: "post", path: "/core/stop" },
  get_session: { method: "get", path: "/session" },
  sign_out: { method: "post", path: "/session/sign-out" },
  rotate_token: { method: "post", path: "/session/rotate-token" },
  make_sign_in_link: { method: "post", path: "/session/link" },
  scan: { method: "post", path: "/discovery/scan" },
  list_agents: { method: "get", path: "/agents" },
  get_agent: { method: "get", path: "/agents/{agent_id}" },
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
  get_manifest: { method: "get", path: "/agents/{agent_id}/manifest" },
  list_audit_types: { method: "get", path: "/audit/types" },
  metrics_history: { method: "get", path: "/metrics/history" },
  follow_events: { method: "get", path: "/events" },
  list_tools: { method: "get", path: "/tools" },
  get_tool: { method: "get", path: "/tools/{agent_id}/{tool_name}" },
  call_tool: { method: "post", path: "/tools/{agent_id}/{tool_name}/call" },
  stream_tool_call: { method: "post", path: "/tools/{agent_id}/{tool_name}/stream" },
  list_audit: { method: "get", path: "/audit/events" },
  get_audit: { method: "get", path: "/audit/events/{event_id}" },
  export_audit: { method: "get", path: "/audit/export" },
  export_cloudevents: { method: "get", path: "/audit/cloudevents" },
  verify_audit: { method: "post", path: "/audit/verify" },
  erase_audit: { method: "post", path: "/audit/erase" },
  check_health: { method: "get", path: "/doctor" },
  checkpoint_audit: { method: "post", path: "/audit/checkpoint" },
} as const satisfies { [O in ControlOperation]: Pick<Routes[O], "method" | "path"> };

type InputOf<Route, Part extends string> = Route extends { [P in Part]: infer Schema extends z.ZodType }
  ? z.input<Schema>
  : never;

/** What an operation takes; query values are written as text, undefined ones are left out. */
export type RequestOf<O extends ControlOperation> = {
  params?: InputOf<Routes[O], "params">;
  query?: { [K in keyof InputOf<Routes[O], "query">]?: string | number | boolean | undefined };
  body?: InputOf<Routes[O], "body">;
};

export type ResponseOf<O extends ControlOperation> = z.infer<Routes[O]["response"]>;

const BASE = "/api/v1";

/** Request line of a call, everything that came from the user percent-encoded; `usage.invalid` for what can be no id. */
export function requestPath(
  operation: ControlOperation,
  params: Record<string, string | undefined> = {},
  query: Record<string, string | number | boolean | undefined> = {},
): string {
  const path = ROUTES[operation].path.replace(/\{(\w+)\}/g, (_, name: string) => encodeSegment(params[name] ?? ""));
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return `${BASE}${path}${text === "" ? "" : `?${text}`}`;
}

/** SECURITY: an id of ".." (encoded or not: URLs read both alike) would reach another route; pinned by "keeps an id inside its path segment". */
function encodeSegment(text: string): string {
  if (/^\.{0,2}$/.test(text))
    throw new CoreError("usage.invalid", `"${text}" is not an id`, { nextStep: "opensentience agents list" });
  return encodeURIComponent(text);
}
