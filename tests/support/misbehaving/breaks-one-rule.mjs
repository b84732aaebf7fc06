/**
 * An agent with the five reference tools that breaks one rule of the protocol, the one that is named: each name is that
 * of the case of the conformance suite which has to notice it. Without a name, or with "none", it breaks none.
 */
import { connect } from "node:net";

const [fault = "none"] = process.argv.slice(2);
const breaks = (name) => fault === name;
const {
  OPENSENTIENCE_AGENT_ID: agentId,
  OPENSENTIENCE_SESSION_TOKEN: token,
  OPENSENTIENCE_SOCKET_PATH: path,
} = process.env;
const MAX_FRAME = 4_194_304;
const ALL_TOOLS = ["hello_world", "stream_counter", "sleep", "invalid_input", "large_output"];
const TOOLS = fault === "none, with one tool" ? ["hello_world"] : ALL_TOOLS;

let socket = connect(path);
let received = Buffer.alloc(0);
let sent = 0;
let sessionId = "";
let saidGoodbye = false;
let latestHello;
/** Call id → how it is ended from outside. */
const calls = new Map();
const waitingForSleep = [];

if (breaks("hello.token_only")) process.stderr.write(`my token is ${token}\n`);
socket.on("data", read);
socket.on("error", () => {});
socket.on("close", closed);
send("agent.hello", {
  session_token: token,
  agent_id: breaks("handshake") ? "com.example.another" : agentId,
  agent_version: "1.0.0",
  protocol: { supported_versions: [1], capabilities: ["tools"] },
});
if (breaks("hello.alone")) register();

function closed() {
  if (breaks("goodbye") && saidGoodbye) setInterval(() => {}, 1_000);
  else if (breaks("connection.lost") && !saidGoodbye) socket = connect(path).on("error", () => {});
  else process.exit(1);
}

function send(type, payload, envelope = {}) {
  sent += 1;
  const isOdd = breaks("envelope") && type === "agent.heartbeat";
  const ts = isOdd ? "yesterday" : new Date().toISOString();
  const id = breaks("envelope.unique_ids") && type === "agent.pong" ? "pong" : `a-${sent}`;
  const body = Buffer.from(JSON.stringify({ v: 1, type, id, ts, ...envelope, payload }));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

function read(chunk) {
  // Whoever makes a text of each piece breaks the characters that were cut.
  const piece = breaks("frame.split_character") && isCut(chunk) ? mangled(chunk) : chunk;
  received = Buffer.concat([received, piece]);
  const pings = [];
  while (received.length >= 4) {
    const length = received.readUInt32BE();
    if (length > MAX_FRAME && !breaks("frame.over_limit")) process.exit(1);
    if (length === 0 && !breaks("frame.empty")) process.exit(1);
    if (length > 1_000_000 && breaks("frame.large")) process.exit(1);
    if (received.length < 4 + length) break;
    const body = received.subarray(4, 4 + length);
    received = received.subarray(4 + length);
    if (length > 0) take(body, pings);
  }
  // Whoever takes each read for a frame loses what was cut.
  if (breaks("frame.byte_by_byte") && received.length < 1_000 && received.every((byte) => byte < 0x80)) {
    received = Buffer.alloc(0);
  }
}

/** Whether the piece holds a part of a small frame. */
function isCut(chunk) {
  if (received.length > 0) return received.length < 1_000;
  let at = 0;
  while (at + 4 <= chunk.length) at += 4 + chunk.readUInt32BE(at);
  return at !== chunk.length && chunk.length < 1_000;
}

function mangled(chunk) {
  const header = received.length === 0 ? 4 : 0;
  return Buffer.concat([chunk.subarray(0, header), Buffer.from(chunk.subarray(header).toString())]);
}

function take(body, pings) {
  let message;
  try {
    message = JSON.parse(body.toString());
  } catch {
    if (breaks("frame.not_json")) return;
    process.exit(1);
  }
  if (message.type === "core.ping") pings.push(message.id);
  if (breaks("frame.coalesced") && pings.length > 1) return;
  handle(message);
}

function handle(message) {
  const { type, payload, error, id } = message;
  if (type === "core.welcome") {
    if (error !== undefined) process.exit(breaks("welcome.refused") ? 0 : 3);
    sessionId = payload.session_id;
    if (!breaks("hello.alone")) register();
    beat();
    setInterval(beat, payload.heartbeat_interval_ms);
  } else if (type === "core.tools.registered") {
    if (breaks("tools.rejected") && payload.rejected?.length > 0 && payload.registered.length === 0) process.exit(1);
  } else if (type === "core.ping") send("agent.pong", {}, breaks("ping") ? {} : { in_reply_to: id });
  else if (type === "core.tool.call") begin(message);
  else if (type === "core.tool.cancel") cancel(message);
  else if (type === "core.goodbye") saidGoodbye = true;
  else if (type !== "core.error" && message.in_reply_to === undefined && !breaks("unknown.type"))
    send("agent.error", {}, { in_reply_to: id, error: { code: "protocol.unknown_type", message: "unknown" } });
  else if (type !== "core.error" && message.in_reply_to !== undefined && breaks("unknown.answer")) process.exit(1);
}

function register() {
  const tools = TOOLS.map((name) => definition(`${agentId}/${name}`, name));
  if (breaks("tools.register")) tools.push(definition(`${agentId}/Not-A-Name`, "odd"));
  send("agent.tools.register", { tools });
}

function definition(tool_id, name) {
  return { tool_id, name, description: name, input_schema: { type: "object" } };
}

function beat() {
  send("agent.heartbeat", {
    session_id: breaks("heartbeat") ? "ses_of_another" : sessionId,
    uptime_ms: Math.round(performance.now()),
    inflight_calls: breaks("heartbeat.while_busy") ? 0 : calls.size,
    status: "ok",
  });
}

function begin(message) {
  if (breaks("unknown.fields") && "from_the_future" in message.payload) return;
  const { call_id, tool_id, input } = message.payload;
  const [owner, name] = tool_id.split("/");
  calls.set(call_id, { message, cancel: () => end(message, { status: "canceled" }) });
  if (owner !== agentId || !TOOLS.includes(name)) {
    const status = breaks("call.unknown_tool") ? "succeeded" : "failed";
    end(message, { status, error: { code: "tool.not_found", message: "there is no such tool" } });
  } else if (name === "hello_world") hello(message);
  else if (name === "stream_counter") count(message);
  else if (name === "sleep") sleep(message, input.ms);
  else if (name === "invalid_input") {
    const error = { code: "hello.refused", message: "refused" };
    end(message, breaks("call.invalid_input") ? { status: "failed" } : { status: "failed", error });
  } else large(message, input.bytes);
}

function hello(message) {
  const outcome = breaks("call.success")
    ? { status: "failed", error: { code: "hello.never", message: "never" } }
    : { status: "succeeded", output: { greeting: "Hello" } };
  if (breaks("call.while_busy") && [...calls.values()].some(({ timer }) => timer !== undefined)) {
    waitingForSleep.push(() => end(message, outcome));
  } else if (breaks("call.several_at_once")) {
    latestHello = message;
    setTimeout(() => end({ ...message, payload: latestHello.payload }, outcome), 50);
  } else {
    end(message, outcome);
    if (breaks("call.one_result")) end(message, outcome);
  }
}

function count(message) {
  const { call_id, input } = message.payload;
  const { to, pause_ms: pauseMs = 0 } = input;
  let seq = 0;
  const next = () => {
    seq += 1;
    const odd = breaks("stream.order") && seq > 100 ? 1 : 0;
    const ids = breaks("stream.echoes_ids") ? {} : echoed(message);
    send("agent.tool.stream", { call_id, seq: seq + odd, channel: "stdout", data: { text: "x" } }, ids);
  };
  const call = calls.get(call_id);
  if (pauseMs === 0) {
    while (seq < to) next();
    end(message, { status: "succeeded" });
    if (breaks("stream.ends_with_result")) next();
    return;
  }
  call.interval = setInterval(next, pauseMs);
  call.cancel = () => {
    clearInterval(call.interval);
    end(message, { status: breaks("cancel.stops_stream") ? "succeeded" : "canceled" });
  };
  next();
}

function sleep(message, ms) {
  const call = calls.get(message.payload.call_id);
  call.timer = setTimeout(() => end(message, { status: "succeeded" }), ms);
  call.cancel = () => {
    clearTimeout(call.timer);
    const error = { code: "hello.stopped", message: "stopped" };
    end(message, breaks("cancel") ? { status: "failed", error } : { status: "canceled" });
    for (const go of waitingForSleep.splice(0)) go();
  };
}

function large(message, bytes) {
  if (bytes > 3_000_000 && !breaks("call.output_too_large")) {
    end(message, { status: "failed", error: { code: "tool.output_too_large", message: "too large" } });
  } else {
    const length = breaks("call.large_output") ? Math.min(bytes, 65_536) : bytes;
    end(message, { status: "succeeded", output: { text: "x".repeat(length) } });
  }
}

function cancel(message) {
  const { call_id } = message.payload;
  const call = calls.get(call_id);
  let accepted = call !== undefined;
  if (breaks("cancel.acknowledged")) accepted = false;
  if (breaks("cancel.too_late")) accepted = true;
  send("agent.tool.cancel_ack", { call_id, accepted }, { in_reply_to: message.id });
  call?.cancel();
  if (call === undefined && breaks("cancel.one_result")) {
    send("agent.tool.result", { call_id, status: "canceled" });
  }
}

function end(message, outcome) {
  calls.delete(message.payload.call_id);
  const { call_id } = message.payload;
  send("agent.tool.result", { call_id, ...outcome }, { in_reply_to: message.id, ...echoed(message, true) });
}

function echoed({ request_id, correlation_id, causation_id }, onResult = false) {
  if (breaks("call.echoes_ids") && onResult && correlation_id !== undefined) return { request_id, causation_id };
  if (breaks("call.no_ids")) return { request_id, correlation_id: correlation_id ?? "none", causation_id };
  return { request_id, correlation_id, causation_id };
}
