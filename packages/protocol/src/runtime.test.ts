import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { envelope, usualEnvelope } from "./runtime/envelope.ts";
import { AGENT_MESSAGES, CORE_MESSAGES, decodeMessage, encodeMessage, MessageError } from "./runtime.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const AT = "2026-01-31T12:00:00.000Z";
const ABOUT = { id: "m-1", ts: AT };
const bodyOf = (frame: Uint8Array): Uint8Array => frame.subarray(4);
const bytesOf = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

describe("encodeMessage", () => {
  test("and decodeMessage give back what was said, spliced or not", () => {
    const property = fc.property(
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(fc.nat(0xffff), { minLength: 1, maxLength: 20 }).map((units) => String.fromCharCode(...units)),
      (output, id) => {
        const payload = { call_id: "c", status: "succeeded" as const };
        const whole = encodeMessage("agent.tool.result", { ...payload, output }, { ...ABOUT, request_id: id });
        const splice = ["output", bytesOf(output)] as const;
        const spliced = encodeMessage("agent.tool.result", payload, { ...ABOUT, request_id: id, splice });
        for (const frame of [whole, spliced]) {
          const message = decodeMessage(bodyOf(frame), AGENT_MESSAGES);
          expect(message).toMatchObject({ v: 1, type: "agent.tool.result", id: "m-1", ts: AT, request_id: id });
          const sent = JSON.stringify({ output: JSON.parse(JSON.stringify(output), dropProto) as unknown });
          expect(JSON.stringify({ output: (message.payload as { output?: unknown }).output })).toBe(sent);
          expect(
            JSON.stringify({ output: JSON.parse(decoder.decode(message.payloadBytes("output"))) as unknown }),
          ).toBe(sent);
        }
      },
    );
    fc.assert(property, { numRuns: 50 });
  }, 60_000);

  test("splices into an empty payload and one whose members are all undefined", () => {
    for (const payload of [{}, { call_id: undefined, error: undefined } as object]) {
      const frame = encodeMessage("agent.tool.result", payload, { ...ABOUT, splice: ["output", bytesOf({ a: 1 })] });
      expect(JSON.parse(decoder.decode(bodyOf(frame)))).toEqual({
        v: 1,
        type: "agent.tool.result",
        ...ABOUT,
        payload: { output: { a: 1 } },
      });
    }
  });

  test("leaves out what is undefined", () => {
    const frame = encodeMessage("core.ping", {}, { ...ABOUT, in_reply_to: undefined, error: undefined });
    expect(JSON.parse(decoder.decode(bodyOf(frame)))).toEqual({ v: 1, type: "core.ping", ...ABOUT, payload: {} });
  });

  test("a text that ends like a payload does not lead a splice astray", () => {
    const frame = encodeMessage(
      "agent.tool.result",
      { call_id: "{}}" },
      { ...ABOUT, splice: ["output", bytesOf("{}}")] },
    );
    expect(JSON.parse(decoder.decode(bodyOf(frame)))).toMatchObject({ payload: { call_id: "{}}", output: "{}}" } });
  });
});

const message = (changes: Record<string, unknown> = {}): Uint8Array =>
  bytesOf({ v: 1, type: "agent.pong", id: "m-1", ts: AT, payload: {}, ...changes });

function refusalOf(
  body: Uint8Array,
  table: typeof AGENT_MESSAGES | typeof CORE_MESSAGES = AGENT_MESSAGES,
): MessageError {
  try {
    decodeMessage(body, table);
  } catch (error) {
    if (error instanceof MessageError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("decodeMessage", () => {
  test.each([
    ["v", 2],
    ["v", "1"],
    ["type", ""],
    ["type", 1],
    ["type", "x".repeat(101)],
    ["id", ""],
    ["id", "x".repeat(201)],
    ["ts", "yesterday"],
    ["ts", 1],
    ["payload", null],
    ["payload", []],
    ["payload", "x"],
    ["in_reply_to", 1],
    ["request_id", ""],
    ["actor", { type: "god", id: "x" }],
    ["error", { code: 1 }],
  ])("refuses the field %s as %j", (field, value) => {
    const error = refusalOf(message({ [field]: value }));
    expect(error).toMatchObject({ code: "protocol.invalid_envelope", isIgnorable: false });
    expect(error.message).toContain(field);
  });

  test.each(["v", "type", "id", "ts", "payload"])("refuses a message without %s", (field) => {
    expect(refusalOf(message({ [field]: undefined })).message).toContain(field);
  });

  test("names the message it is about, and never a value", () => {
    const error = refusalOf(message({ type: "agent.tool.result", payload: { call_id: 5, status: "hunter2" } }));
    expect([error.about, error.message.includes("hunter2")]).toEqual(["m-1", false]);
    expect(refusalOf(message({ id: 5 })).about).toBeUndefined();
    expect(refusalOf(message({ id: "x".repeat(300) })).about).toBeUndefined();
  });

  test("tells an unknown type from one of the other side, and an answer from a question", () => {
    expect(refusalOf(message({ type: "agent.fly" }))).toMatchObject({
      code: "protocol.unknown_type",
      isIgnorable: false,
    });
    expect(refusalOf(message({ type: "agent.fly", in_reply_to: "x" }))).toMatchObject({ isIgnorable: true });
    expect(refusalOf(message({ type: "core.ping" })).code).toBe("protocol.unexpected_message");
    expect(refusalOf(message(), CORE_MESSAGES).code).toBe("protocol.unexpected_message");
    for (const type of ["constructor", "__proto__", "toString"])
      expect(refusalOf(message({ type })).code).toBe("protocol.unknown_type");
  });

  test("leaves out fields that it does not know", () => {
    const { payloadBytes: _, ...known } = decodeMessage(message({ later: 1, payload: { later: 2 } }), AGENT_MESSAGES);
    expect(known).toEqual({ v: 1, type: "agent.pong", id: "m-1", ts: AT, payload: {} });
  });
});

test("the quick way accepts no envelope that the schema refuses, and says the same", () => {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.string({ maxLength: 250 }),
    fc.constantFrom(1, "", AT, "m-1", {}, undefined),
  );
  const fields = [
    "v",
    "type",
    "id",
    "ts",
    "payload",
    "in_reply_to",
    "request_id",
    "correlation_id",
    "causation_id",
    "actor",
    "error",
    "x",
  ];
  const property = fc.property(fc.dictionary(fc.constantFrom(...fields), odd, { maxKeys: 3 }), (changes) => {
    const value = { v: 1, type: "agent.pong", id: "m-1", ts: AT, payload: { a: 1 }, ...changes };
    const quick = usualEnvelope(value);
    if (quick !== undefined) expect(quick).toEqual(envelope.parse(value));
  });
  fc.assert(property, { numRuns: 500 });
  expect(usualEnvelope({ v: 1, type: "agent.pong", id: "m-1", ts: AT, payload: {} })).toBeDefined();
});

test("a call or a result that is taken without the schema is what the schema would give", () => {
  const odd = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(
      AT,
      "",
      "x",
      "y".repeat(201),
      "z".repeat(301),
      "succeeded",
      "failed",
      0,
      -1,
      1.5,
      2 ** 53,
      {},
      [],
      null,
    ),
    fc.record({ type: fc.constantFrom("human", "agent", "x"), id: fc.constantFrom("a", "", 1), more: fc.nat() }),
  );
  const members = {
    "agent.tool.call": ["call_id", "tool_id", "input", "timeout_ms", "idempotency_key", "caller", "context", "other"],
    "core.tool.result": ["call_id", "status", "output", "error", "started_at", "finished_at", "metrics", "other"],
  } as const;
  const usual = {
    "agent.tool.call": {
      call_id: "c",
      tool_id: "a/b",
      input: { a: 1 },
      timeout_ms: 5,
      caller: { type: "human", id: "u" },
    },
    "core.tool.result": { call_id: "c", status: "succeeded", output: [1], started_at: AT, finished_at: AT },
  };
  for (const type of ["agent.tool.call", "core.tool.result"] as const) {
    const tables = { ...AGENT_MESSAGES, ...CORE_MESSAGES };
    const decoded = (payload: object): unknown => {
      try {
        return decodeMessage(bytesOf({ v: 1, type, ...ABOUT, payload }), tables).payload;
      } catch (error) {
        return (error as MessageError).code;
      }
    };
    const property = fc.property(fc.dictionary(fc.constantFrom(...members[type]), odd, { maxKeys: 2 }), (changes) => {
      const payload = JSON.parse(JSON.stringify({ ...usual[type], ...changes })) as object;
      const judged = tables[type].safeParse(payload);
      expect(decoded(payload)).toEqual(judged.success ? judged.data : "protocol.invalid_envelope");
    });
    fc.assert(property, { numRuns: 500 });
  }
});

function dropProto(name: string, value: unknown): unknown {
  return name === "__proto__" ? undefined : value;
}
