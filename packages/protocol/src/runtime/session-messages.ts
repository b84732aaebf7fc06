/** Messages of a session's life: handshake, heartbeat, probe, goodbye (docs/protocol.md, "Session"). */
import { z } from "zod";
import { wireId, wireObject } from "./envelope.ts";

/** Agent → Core, the first message, once. A refused one is answered with a welcome that carries an error, and the end. */
export const agentHello = z.object({
  session_token: z.string().min(1).max(200),
  agent_id: z.string().min(1).max(200),
  agent_version: z.string().max(100),
  manifest_hash: z.string().max(100).optional(),
  protocol: z.object({
    supported_versions: z.array(z.int()).min(1).max(100),
    capabilities: z.array(z.string().max(100)).max(100),
  }),
  sdk: z.object({ name: z.string().max(100), version: z.string().max(100) }).optional(),
});

/** Core → agent, the answer to hello. With `error` in the envelope only `server` is sure to be there. */
export const coreWelcome = z.object({
  accepted_version: z.int().optional(),
  session_id: wireId.optional(),
  heartbeat_interval_ms: z.int().positive().optional(),
  max_frame_bytes: z.int().positive().optional(),
  server: z.object({ core_version: z.string(), instance_id: z.string() }),
});

/** Core → agent, right before Core closes. */
export const coreGoodbye = z.object({
  reason: z.string().max(1000),
  retry_after_ms: z.int().nonnegative().optional(),
});

/** Agent → Core, every `heartbeat_interval_ms`. */
export const agentHeartbeat = z.object({
  session_id: wireId,
  uptime_ms: z.number().nonnegative(),
  inflight_calls: z.int().nonnegative(),
  status: z.enum(["ok", "degraded", "unhealthy"]),
  details: wireObject.optional(),
});

/** Core → agent and its answer: a probe, no substitute for heartbeats. */
export const corePing = z.object({});
export const agentPong = z.object({});

/** Each to the other: a message could not be taken; `error` stands in the envelope. Never answered. */
export const coreError = z.object({});
export const agentError = z.object({});
