/**
 * What every message of the runtime protocol has around its payload (docs/protocol.md, "Envelope").
 * Fields that are not known are ignored; text is bounded, so that nothing that is kept or shown can grow.
 */
import { z } from "zod";

export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** UTF-16 units of an id that a peer chose. */
export const MAX_ID = 200;
const MAX_TIME = 40;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

export const wireId: z.ZodString = z.string().min(1).max(MAX_ID);
/** Any object; what it holds is somebody else's to judge, and it is not copied. */
export const wireObject: z.ZodCustom<Record<string, unknown>, Record<string, unknown>> = z.custom<
  Record<string, unknown>
>(isObject, { error: "must be an object" });
export const wireTime: z.ZodString = z.string().max(MAX_TIME).regex(RFC_3339);

/** An error on the wire: `code` is a key of docs/errors.md or one of the agent's own. */
export const wireError = z.object({
  code: z.string().min(1).max(200),
  message: z.string().max(8192),
  details: wireObject.optional(),
  retryable: z.boolean().optional(),
  where: z.string().max(MAX_ID).optional(),
});
export type WireError = z.infer<typeof wireError>;

export const envelope = z.object({
  v: z.literal(1),
  type: z.string().min(1).max(100),
  id: wireId,
  ts: wireTime,
  payload: wireObject,
  in_reply_to: wireId.optional(),
  request_id: wireId.optional(),
  correlation_id: wireId.optional(),
  causation_id: wireId.optional(),
  /** Shown, never believed: who acts is decided by the socket a message came over. */
  actor: z
    .looseObject({
      type: z.enum(["human", "agent", "system"]),
      id: z.string().max(MAX_ID),
      display: z.string().max(MAX_ID).optional(),
    })
    .optional(),
  error: wireError.optional(),
});
export type Envelope = z.infer<typeof envelope>;

/**
 * The envelope of the usual message, without the cost of a schema; undefined for every other, of which the schema decides.
 * It accepts nothing that the schema would not, and like the schema leaves out fields that are not known.
 */
export function usualEnvelope(value: Record<string, unknown>): Envelope | undefined {
  const { v, type, id, ts, payload } = value;
  const isUsual =
    v === 1 &&
    isText(type, 100) &&
    isText(id, MAX_ID) &&
    isTime(ts) &&
    isObject(payload) &&
    value["actor"] === undefined &&
    value["error"] === undefined;
  if (!isUsual) return undefined;
  const usual: Envelope = { v, type, id, ts, payload };
  for (const name of ["in_reply_to", ...ECHOED_IDS] as const) {
    const other = value[name];
    if (other === undefined) continue;
    if (!isText(other, MAX_ID)) return undefined;
    usual[name] = other;
  }
  return usual;
}

/** Of at least one unit and at most `max`. */
export function isText(value: unknown, max: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= max;
}

export function isTime(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_TIME && RFC_3339.test(value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The ids that an agent repeats on everything it sends for a call. */
export const ECHOED_IDS = ["request_id", "correlation_id", "causation_id"] as const;

export function echoedIds(message: Pick<Envelope, (typeof ECHOED_IDS)[number]>): typeof message {
  const { request_id, correlation_id, causation_id } = message;
  return { request_id, correlation_id, causation_id };
}
