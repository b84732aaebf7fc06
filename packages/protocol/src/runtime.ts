/**
 * The runtime protocol, version 1: what Core and a running agent say to each other. docs/protocol.md says the same in
 * prose, so that an agent can be written in any language; the conformance suite holds both sides to it.
 *
 * Every message is an envelope with a payload; the tables below give each type its payload's schema, and by its side
 * who may send it. `decodeMessage` takes one frame's bytes apart, `encodeMessage` makes one. Both are pure: sockets,
 * clocks and state are the callers' (core/runtime, sdk).
 */
import type { z } from "zod";
import { CoreError, type ErrorCode } from "./errors.ts";
import { messageFrame } from "./frame-writer.ts";
import { envelope, usualEnvelope, type Envelope, type ECHOED_IDS, type WireError } from "./runtime/envelope.ts";
import * as session from "./runtime/session-messages.ts";
import * as tools from "./runtime/tool-messages.ts";
import { parseWireObject, type ForwardedMember } from "./wire-json.ts";

export { FrameDecoder, encodeFrame, MAX_FRAME_BYTES } from "./frame.ts";
export {
  echoedIds,
  ECHOED_IDS,
  envelope as MESSAGE_ENVELOPE,
  PROTOCOL_VERSIONS,
  type Envelope,
  type WireError,
} from "./runtime/envelope.ts";
export {
  MAX_IN_FLIGHT,
  MAX_INPUT_BYTES,
  MAX_OUTPUT_BYTES,
  MAX_SCHEMA_BYTES,
  MAX_TOOLS,
  STREAM_CHANNELS,
  TOOL_NAME,
  toolDefinition,
  type ToolDefinition,
} from "./runtime/tool-messages.ts";
export { MAX_DEPTH, MAX_VALUES, parseWireObject } from "./wire-json.ts";

/** What only an agent sends. */
export const AGENT_MESSAGES = {
  "agent.hello": session.agentHello,
  "agent.tools.register": tools.agentToolsRegister,
  "agent.tools.unregister": tools.toolIds,
  "agent.tool.stream": tools.toolStream,
  "agent.tool.result": tools.toolResult,
  "agent.tool.cancel_ack": tools.agentToolCancelAck,
  "agent.tool.call": tools.toolCall,
  "agent.tool.cancel": tools.toolCancel,
  "agent.heartbeat": session.agentHeartbeat,
  "agent.pong": session.agentPong,
  "agent.error": session.agentError,
} as const;

/** What only Core sends. */
export const CORE_MESSAGES = {
  "core.welcome": session.coreWelcome,
  "core.goodbye": session.coreGoodbye,
  "core.tools.registered": tools.coreToolsRegistered,
  "core.tools.unregistered": tools.toolIds,
  "core.tool.call": tools.toolCall,
  "core.tool.cancel": tools.toolCancel,
  "core.tool.stream": tools.toolStream,
  "core.tool.result": tools.toolResult,
  "core.ping": session.corePing,
  "core.error": session.coreError,
} as const;

type Table = Readonly<Record<string, z.ZodType>>;
type Payload<T extends Table, K extends keyof T> = z.infer<T[K]>;

export type AgentMessageType = keyof typeof AGENT_MESSAGES;
export type CoreMessageType = keyof typeof CORE_MESSAGES;

/** A message that was taken apart: `type` decides the type of `payload`. */
export type Message<T extends Table> = {
  [K in keyof T & string]: Omit<Envelope, "type" | "payload"> & {
    type: K;
    payload: Payload<T, K>;
    /** Bytes of one member of the payload as they came: to be forwarded without serialising them again. */
    payloadBytes: (member: ForwardedMember) => Uint8Array | undefined;
  };
}[keyof T & string];
export type AgentMessage = Message<typeof AGENT_MESSAGES>;
export type CoreMessage = Message<typeof CORE_MESSAGES>;

/** A message that is not what it should be; `about` is the id to answer, where there is one. */
export class MessageError extends CoreError {
  readonly about: string | undefined;
  /** Whether the type is unknown and the message answers something: such a one is ignored. */
  readonly isIgnorable: boolean;

  constructor(code: ErrorCode, message: string, about?: string, isIgnorable = false) {
    super(code, message);
    this.about = about;
    this.isIgnorable = isIgnorable;
  }
}

/**
 * The message in a frame's body that the peer of `table` sent. Throws CoreError `protocol.invalid_frame` (the connection
 * ends) and MessageError `protocol.invalid_envelope`, `protocol.unknown_type`, `protocol.unexpected_message` (a type of the other side).
 */
export function decodeMessage<T extends Table>(body: Uint8Array, table: T): Message<T> {
  const { value, payloadBytes } = parseWireObject(body);
  // An answer names it only when it is one that may be named.
  const { id } = value;
  const about = typeof id === "string" && id !== "" && id.length <= 200 ? id : undefined;
  const head = usualEnvelope(value) ?? judgedEnvelope(value, about);
  const { type, payload } = head;
  const schema = Object.hasOwn(table, type) ? table[type] : undefined;
  if (schema === undefined) throw unknownType(type, about, head.in_reply_to !== undefined);
  const usual = USUAL_PAYLOADS.get(type)?.(payload);
  if (usual !== undefined) return { ...head, type, payload: usual, payloadBytes } as Message<T>;
  const judged = schema.safeParse(payload);
  if (!judged.success) throw invalid(judged.error, about, `${type}: payload.`);
  return { ...head, type, payload: judged.data, payloadBytes } as Message<T>;
}

/** Of the messages of which there are many: taken without the cost of a schema where it is certain that the schema would. */
const USUAL_PAYLOADS = new Map<string, (payload: Record<string, unknown>) => object | undefined>([
  ["agent.tool.call", tools.usualToolCall],
  ["core.tool.call", tools.usualToolCall],
  ["agent.tool.result", tools.usualToolResult],
  ["core.tool.result", tools.usualToolResult],
]);

function judgedEnvelope(value: Record<string, unknown>, about: string | undefined): Envelope {
  const parsed = envelope.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error, about);
  return parsed.data;
}

/** Without a stack, which would be most of what refusing costs: a peer may send nothing but wrong messages. */
function refusal(...parts: ConstructorParameters<typeof MessageError>): MessageError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new MessageError(...parts);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function unknownType(type: string, about: string | undefined, isAnswer: boolean): MessageError {
  if (Object.hasOwn(AGENT_MESSAGES, type) || Object.hasOwn(CORE_MESSAGES, type)) {
    return refusal("protocol.unexpected_message", `${type} is what the other side sends`, about);
  }
  return refusal("protocol.unknown_type", "the type of the message is not known", about, isAnswer);
}

/** Names fields and rules, never values. */
function invalid(error: z.ZodError, about: string | undefined, prefix = ""): MessageError {
  const [issue] = error.issues;
  const field = issue?.path.join(".").slice(0, 200) || "the message";
  const rule = issue?.code === "custom" ? issue.message : (issue?.code.replaceAll("_", " ") ?? "invalid");
  return refusal("protocol.invalid_envelope", `${prefix}${field}: ${rule}`, about);
}

export type Extras = {
  in_reply_to?: string | undefined;
  error?: WireError | undefined;
  /** Member of the payload whose value is the given bytes of JSON; spliced in behind the other members. */
  splice?: readonly [ForwardedMember, Uint8Array] | undefined;
} & { [K in (typeof ECHOED_IDS)[number]]?: string | undefined };

type AnyTable = typeof AGENT_MESSAGES & typeof CORE_MESSAGES;

/** A whole frame. `id` names the message, `ts` is the sender's clock. */
export function encodeMessage<K extends keyof AnyTable>(
  type: K,
  payload: Partial<Payload<AnyTable, K>>,
  extras: Extras & { id: string; ts: string },
): Uint8Array {
  const { id, ts, in_reply_to, request_id, correlation_id, causation_id, error, splice } = extras;
  const members = { v: 1, type, id, ts, in_reply_to, request_id, correlation_id, causation_id, error };
  return messageFrame(members, payload, splice);
}
