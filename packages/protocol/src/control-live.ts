/** Routes of the control API that a page needs beside those of the command line: its session, and what changes as it happens. */
import { z } from "zod";
import { EVENT_TOPICS, metricsSampleJson, streamEventJson } from "./control-events.ts";
import { auditTypesJson, manifestTextJson, sessionJson, signInLinkJson } from "./control-shapes.ts";
import type { ControlRoute } from "./control.ts";

const empty = z.object({}).strict();

export const LIVE_ROUTES = {
  get_session: {
    method: "get",
    path: "/session",
    summary: "Who asks, and until when",
    response: sessionJson,
  },
  sign_out: {
    method: "post",
    path: "/session/sign-out",
    summary: "End the session",
    body: empty,
    response: z.object({ signed_out: z.literal(true) }),
  },
  rotate_token: {
    method: "post",
    path: "/session/rotate-token",
    summary: "Replace the token of the web page and end every session",
    body: empty,
    response: z.object({ sessions_ended: z.number().int(), token_path: z.string() }),
  },
  make_sign_in_link: {
    method: "post",
    path: "/session/link",
    summary: "A link that signs in to the web page once; on the control socket only",
    body: z.object({ for_browser: z.boolean().optional() }).strict(),
    response: signInLinkJson,
  },
  get_manifest: {
    method: "get",
    path: "/agents/{agent_id}/manifest",
    summary: "The manifest as it stands on disk, byte for byte",
    params: z.object({ agent_id: z.string().max(200) }),
    response: manifestTextJson,
  },
  list_audit_types: {
    method: "get",
    path: "/audit/types",
    summary: "Every type of event that the audit log can hold, with its meaning",
    response: auditTypesJson,
  },
  metrics_history: {
    method: "get",
    path: "/metrics/history",
    summary: "What runs used of the machine and how calls went, in the last 15 minutes, oldest first",
    response: z.object({ items: z.array(metricsSampleJson) }),
  },
  follow_events: {
    method: "get",
    path: "/events",
    summary: "What changes, as it happens: server-sent events, resumable by last-event-id",
    query: z.object({
      topics: z
        .string()
        .max(100)
        .optional()
        .describe(`some of ${EVENT_TOPICS.join(", ")}, joined by commas; all unless given`),
      run_id: z
        .array(z.string().max(60))
        .max(8)
        .optional()
        .describe("runs whose output comes with the topic logs; repeatable"),
    }),
    response: streamEventJson,
    events: true,
  },
} as const satisfies Record<string, ControlRoute>;
