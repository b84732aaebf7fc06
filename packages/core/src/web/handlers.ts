/** Operation → handler: what each route of the control API calls. Flat on purpose; no handler does work of its own. */
import { CoreError, type AgentDetailJson, type ControlOperation } from "@opensentience/protocol";
import { eventType, eventTypes, type Act, type AuditFilter } from "../audit-log/audit-log.ts";
import { checkHealth } from "../doctor/doctor.ts";
import { readLog } from "../logs/logs.ts";
import { agentDetail, agentDiff, listedAgent, manifestText, updatedAgent } from "./agents.ts";
import type { Caller } from "./guard.ts";
import { makeLink, rotateToken, sessionJson, signOut } from "./page.ts";
import { cloudEvents, followAudit } from "./audit.ts";
import { followRuns } from "./run-logs.ts";
import { callTool, listTools, streamToolCall, toolDetail, toolId } from "./tools.ts";
import { removeWithApproval, rollBackWithApproval } from "./two-part-acts.ts";
import type { Domain, Services } from "./domain.ts";

/** Parsed by the route's schemas; the types below are what those schemas hold. */
export type Input = {
  params: Record<string, unknown>;
  query: Record<string, unknown>;
  body: Record<string, unknown>;
  act: Act;
  caller: Caller;
  signal: AbortSignal;
  progress: (phase: string, text: string) => void;
  /** Sets a header of the answer. */
  setHeader: (name: string, value: string) => void;
};
export type Handler = (domain: Domain, input: Input) => unknown;

const DEFAULT_LIMIT = 100;

/** SQL columns compare texts of one form; `since` and `until` accept any RFC 3339 time. */
function time(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const ms = Date.parse(value);
  if (Number.isNaN(ms))
    throw new CoreError("usage.invalid", "a time looks like 2030-01-31T12:00:00Z", {
      nextStep: "opensentience help audit list",
    });
  return new Date(ms).toISOString();
}

function auditFilter(query: Record<string, unknown>): AuditFilter {
  const text = (key: string): string | undefined => query[key] as string | undefined;
  const type = text("type");
  return {
    type: type === undefined ? undefined : eventType(type),
    agent: text("agent"),
    actor: text("actor"),
    severity: text("severity"),
    correlationId: text("correlation_id"),
    since: time(query["since"]),
    until: time(query["until"]),
  };
}

function page(query: Record<string, unknown>): { limit: number; cursor: string | undefined } {
  return {
    limit: (query["limit"] as number | undefined) ?? DEFAULT_LIMIT,
    cursor: query["cursor"] as string | undefined,
  };
}

/** Present whenever a handler runs: respond.ts refuses everything else while Core is degraded. */
function services(domain: Domain): Services {
  if (domain.services === null)
    throw new CoreError("core.degraded", "Core runs without its database", { nextStep: "opensentience core status" });
  return domain.services;
}

type Detail = Promise<AgentDetailJson>;
const id = (input: Input): string => input.params["agent_id"] as string;
const detail = (domain: Domain, input: Input): Detail => agentDetail(domain, services(domain), id(input));

/** Of every operation but the event stream, which is no answer to a request (event-stream.ts). */
export const HANDLERS: Record<Exclude<ControlOperation, "follow_events">, Handler> = {
  get_status: (domain) => domain.status(),
  stop_core: (domain, { act }) => {
    domain.requestStop(act);
    return { stopping: true };
  },
  get_session: (domain, { caller }) => sessionJson(domain, caller),
  sign_out: (domain, input) => signOut(domain, input),
  rotate_token: (domain, { act }) => rotateToken(domain, act),
  make_sign_in_link: (domain, { body, caller }) => makeLink(domain, caller, body["for_browser"] === true),
  scan: (domain, { body, act, signal, progress }) =>
    services(domain).discovery.scan(body["paths"] as string[] | undefined, act, {
      signal,
      onProgress: (folders) => progress("scan", `${folders} folders`),
    }),

  list_agents: async (domain, { query }) => {
    const { items, next } = services(domain).catalog.list({
      q: query["q"] as string | undefined,
      status: query["status"] as string | undefined,
      ...page(query),
    });
    return { items: await Promise.all(items.map((agent) => listedAgent(domain, services(domain), agent))), next };
  },
  get_agent: detail,
  get_manifest: (domain, input) => manifestText(services(domain), id(input)),
  install_agent: async (domain, { body, act, signal, progress }) => {
    const all = services(domain);
    const request = body as {
      agent_id?: string;
      git_url?: string;
      ref?: string;
      allow_local?: boolean;
      dev_path?: string;
    };
    if (request.dev_path !== undefined)
      return agentDetail(domain, all, await all.install.installInPlace(request.dev_path, act));
    const agentId = await all.install.install(
      {
        ...(request.agent_id === undefined ? {} : { agentId: request.agent_id }),
        ...(request.git_url === undefined ? {} : { gitUrl: request.git_url }),
        ...(request.ref === undefined ? {} : { ref: request.ref }),
        ...(request.allow_local === undefined ? {} : { allowLocal: request.allow_local }),
      },
      act,
      { signal, progress },
    );
    return agentDetail(domain, all, agentId);
  },
  update_agent: async (domain, input) => {
    const request = input.body as { ref?: string; allow_local?: boolean };
    const before = services(domain).catalog.get(id(input));
    await services(domain).install.update(
      id(input),
      {
        ...(request.ref === undefined ? {} : { ref: request.ref }),
        ...(request.allow_local === undefined ? {} : { allowLocal: request.allow_local }),
      },
      input.act,
      { signal: input.signal, progress: input.progress },
    );
    return updatedAgent(domain, services(domain), before);
  },
  rollback_agent: async (domain, input) => {
    await rollBackWithApproval(services(domain), id(input), input.act);
    return detail(domain, input);
  },
  remove_agent: async (domain, input) => {
    const before = await detail(domain, input);
    const keepData = input.body["keep_data"] === true;
    const removed = await removeWithApproval(services(domain), id(input), { keepData }, input.act);
    if (removed === "entry") return { ...before, next_step: "opensentience agents list", removed };
    return { ...(await detail(domain, input)), removed };
  },
  plan_build: (domain, input) => services(domain).build.plan(id(input), input.act),
  build_agent: async (domain, input) => {
    const expectedPlan = input.body["expected_plan"] as string | undefined;
    const { putBack } = await services(domain).build.build(id(input), input.act, {
      ...(expectedPlan === undefined ? {} : { expectedPlan }),
      signal: input.signal,
      progress: input.progress,
    });
    return { ...(await detail(domain, input)), put_back: putBack.names, put_back_count: putBack.count };
  },
  enable_agent: async (domain, input) => {
    const request = input.body as {
      all?: boolean;
      approve?: string[];
      expires?: string;
      unsandboxed?: boolean;
      expected_manifest_hash?: string;
      expected_commit?: string;
    };
    await services(domain).enablement.approve(
      id(input),
      {
        ...(request.all === undefined ? {} : { all: request.all }),
        ...(request.approve === undefined ? {} : { approve: request.approve }),
        ...(request.expires === undefined ? {} : { expires: request.expires }),
        ...(request.unsandboxed === undefined ? {} : { unsandboxed: request.unsandboxed }),
        ...(request.expected_manifest_hash === undefined
          ? {}
          : { expectedManifestHash: request.expected_manifest_hash }),
        ...(request.expected_commit === undefined ? {} : { expectedCommit: request.expected_commit }),
      },
      input.act,
    );
    return detail(domain, input);
  },
  revoke_agent: async (domain, input) => {
    await services(domain).enablement.revoke(id(input), input.act);
    return detail(domain, input);
  },
  diff_agent: (domain, input) => agentDiff(domain, services(domain), id(input)),

  run_agent: (domain, input) => services(domain).launcher.run(id(input), input.body, input.act),
  stop_agent: (domain, input) => services(domain).launcher.stop(id(input), input.act),
  restart_agent: (domain, input) => services(domain).launcher.restart(id(input), input.act),
  read_logs: async (domain, input) => {
    const { launcher } = services(domain);
    const query = input.query as { run?: string; build?: string; tail?: number; since?: string; follow?: string };
    const since = time(query.since);
    const options = {
      ...(query.tail === undefined ? {} : { tail: query.tail }),
      ...(since === undefined ? {} : { since }),
    };
    if (query.build === "true") {
      if (query.run !== undefined || query.follow === "true")
        throw new CoreError("usage.invalid", "the log of a build is of no run, and is not followed", {
          nextStep: "opensentience help agents logs",
        });
      return services(domain).build.log(id(input), options);
    }
    const run = query.run === undefined ? launcher.newest(id(input)) : launcher.get(query.run);
    if (run.agent_id !== id(input))
      throw new CoreError("run.not_found", "that run is of another agent", {
        nextStep: "opensentience agents ps --all",
      });
    if (run.log_path === null) return [];
    if (query.follow !== "true") return readLog(run.log_path, options);
    return followRuns(launcher, run, { ...options, isOneRun: query.run !== undefined, signal: input.signal });
  },
  list_runs: (domain, { query }) =>
    services(domain).launcher.list({
      agentId: query["agent"] as string | undefined,
      liveOnly: query["all"] !== "true",
      ...page(query),
    }),
  metrics_history: (domain) => ({ items: domain.live?.metrics.history() ?? [] }),

  list_tools: (domain, { query }) => listTools(services(domain).runtime, query["agent"] as string | undefined),
  get_tool: (domain, { params }) => toolDetail(services(domain).runtime, toolId(params)),
  call_tool: (domain, input) => callTool(services(domain).runtime, input),
  stream_tool_call: (domain, input) => streamToolCall(services(domain).runtime, input),

  list_audit: (domain, { query }) => services(domain).audit.list(auditFilter(query), page(query)),
  list_audit_types: () => ({ items: eventTypes(), next: null }),
  get_audit: (domain, { params }) => {
    const event = services(domain).audit.find(params["event_id"] as string);
    if (event === undefined)
      throw new CoreError("audit.event_not_found", "no audit event has that id or number", {
        nextStep: "opensentience audit list",
      });
    return event;
  },
  export_audit: (domain, { query, signal }) =>
    followAudit(services(domain).audit, auditFilter(query), {
      tail: query["tail"] as number | undefined,
      follow: query["follow"] === "true",
      signal,
    }),
  export_cloudevents: (domain, { query, signal }) =>
    cloudEvents(followAudit(services(domain).audit, auditFilter(query), { tail: undefined, follow: false, signal })),
  verify_audit: (domain, { body }) =>
    (domain.audit ?? services(domain).audit).verify(body["against"] as string | undefined),
  erase_audit: (domain, { body, act }) =>
    services(domain).audit.erase(body["seq"] as number, body["reason"] as string, act),
  check_health: (domain) => checkHealth(domain.health(), domain.audit),
  checkpoint_audit: (domain) => services(domain).audit.checkpoint(),
};
