/**
 * The event stream `GET /api/v1/events`: server-sent events that say what changed, for pages that show it live.
 *
 * `event:` is the name, `data:` one JSON object of the shape below, `id:` opaque: sent back as `last-event-id` it
 * continues the stream where it broke. `hello` comes first; `reset` says that something was missed, so everything has
 * to be read again. What is told is that something is as it is now, never what somebody did: the audit log says that.
 */
import { z } from "zod";
import { auditEventJson, logRecordJson, runJson } from "./control-shapes.ts";

export const EVENT_TOPICS = ["catalog", "runs", "audit", "metrics", "logs"] as const;
export type EventTopic = (typeof EVENT_TOPICS)[number];

export const metricsSampleJson = z.object({
  at: z.string().describe("RFC 3339, UTC"),
  runs: z.array(
    z.object({
      run_id: z.string(),
      agent_id: z.string(),
      cpu_percent: z.number().nullable().describe("of one processor, since the sample before"),
      memory_bytes: z.number().int().nullable(),
      uptime_ms: z.number().int(),
    }),
  ),
  calls: z.object({
    in_flight: z.number().int(),
    ended: z
      .object({ succeeded: z.number().int(), failed: z.number().int(), canceled: z.number().int() })
      .describe("since Core's start"),
    refused: z.number().int().describe("since Core's start"),
    p50_ms: z.number().nullable().describe("of the calls that ended since the sample before; null where none did"),
    p95_ms: z.number().nullable(),
  }),
});

export const streamEventJson = z.discriminatedUnion("event", [
  z.object({ event: z.literal("hello"), data: z.object({ instance_id: z.string(), audit_seq: z.number().int() }) }),
  z.object({ event: z.literal("reset"), data: z.object({}) }),
  z
    .object({ event: z.literal("catalog"), data: z.object({ agent_ids: z.array(z.string()) }) })
    .describe("these agents changed"),
  z.object({ event: z.literal("runs"), data: z.object({ items: z.array(runJson) }) }).describe("these runs changed"),
  z.object({
    event: z.literal("audit"),
    data: z.object({
      items: z.array(auditEventJson).describe("new rows in their order, at most 200"),
      dropped: z.number().int().optional().describe("there were so many rows more that none are sent"),
      last_seq: z.number().int().optional().describe("with dropped: the newest of them"),
    }),
  }),
  z.object({ event: z.literal("metrics"), data: metricsSampleJson }).describe("every two seconds"),
  z.object({
    event: z.literal("log"),
    data: z.object({
      run_id: z.string(),
      items: z.array(logRecordJson),
      skipped: z.boolean().optional().describe("true where more was printed before these than anybody could read"),
    }),
  }),
]);

export type MetricsSampleJson = z.infer<typeof metricsSampleJson>;
export type StreamEventJson = z.infer<typeof streamEventJson>;
