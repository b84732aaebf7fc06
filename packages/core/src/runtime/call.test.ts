import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { Call, type Deadlines, type Result, type Stream } from "./call.ts";

const NEVER: Deadlines = { idleMs: 60_000, totalMs: 60_000, cancelMs: 60_000 };

type Seen = { canceled: string[]; chunks: number[]; dropped: number; ends: number };

function begin(deadlines: Deadlines = NEVER, checkOutput: () => void = () => {}): { call: Call; seen: Seen } {
  const seen: Seen = { canceled: [], chunks: [], dropped: 0, ends: 0 };
  const call = new Call(deadlines, {
    sendCancel: (reason) => seen.canceled.push(reason),
    onStream: ({ payload }) => seen.chunks.push(payload.seq),
    checkOutput,
    onDropped: () => (seen.dropped += 1),
    onEnd: () => (seen.ends += 1),
  });
  return { call, seen };
}

const chunk = (seq: number): Stream => ({ payload: { seq } }) as Stream;
const result = (status: "succeeded" | "failed" | "canceled", output?: string): Result =>
  ({
    payload: { status },
    payloadBytes: () => (output === undefined ? undefined : Buffer.from(output)),
  }) as unknown as Result;

describe("a call", () => {
  test("has its chunks in order and one result; what comes later is dropped", async () => {
    const { call, seen } = begin();
    call.stream(chunk(1));
    call.stream(chunk(2));
    call.result(result("succeeded", '{"a":1}'));
    call.result(result("failed"));
    call.stream(chunk(3));
    expect(await call.outcome).toMatchObject({ status: "succeeded", output: Buffer.from('{"a":1}') });
    expect(seen).toEqual({ canceled: [], chunks: [1, 2], dropped: 2, ends: 1 });
  });

  test("drops a chunk that was there, and fails for one that never came", async () => {
    const { call, seen } = begin();
    call.stream(chunk(1));
    call.stream(chunk(1));
    call.stream(chunk(3));
    expect(await call.outcome).toMatchObject({ status: "failed", error: { code: "protocol.unexpected_message" } });
    expect(seen).toMatchObject({ chunks: [1], dropped: 1 });
    expect(seen.canceled).toHaveLength(1);
  });

  test("whose output breaks its promise has failed", async () => {
    const { call } = begin(NEVER, () => {
      throw new CoreError("tool.invalid_output", "no");
    });
    call.result(result("succeeded", "1"));
    expect(await call.outcome).toEqual({
      status: "failed",
      error: { code: "tool.invalid_output", message: "no", details: {} },
    });
  });

  test("that says nothing times out; progress puts off the idle deadline and never the total one", async () => {
    const silent = begin({ ...NEVER, idleMs: 20 });
    expect(await silent.call.outcome).toMatchObject({ status: "failed", error: { code: "tool.timeout" } });
    expect(silent.seen.canceled).toHaveLength(1);
    const busy = begin({ ...NEVER, idleMs: 40, totalMs: 200 });
    let seq = 0;
    const progress = setInterval(() => busy.call.stream(chunk((seq += 1))), 5);
    const outcome = await busy.call.outcome;
    clearInterval(progress);
    expect(outcome.error?.message).toContain("took longer than 200 ms");
  });

  test("that is canceled ends with the agent's answer, or without it after the cancel deadline", async () => {
    const obeys = begin();
    obeys.call.cancel("enough");
    obeys.call.cancel("again");
    obeys.call.result(result("canceled"));
    expect(await obeys.call.outcome).toMatchObject({ status: "canceled", error: { code: "tool.canceled" } });
    expect(obeys.seen.canceled).toEqual(["enough"]);
    const ignores = begin({ ...NEVER, cancelMs: 10 });
    ignores.call.cancel("enough");
    expect(await ignores.call.outcome).toMatchObject({ status: "canceled" });
    ignores.call.result(result("succeeded"));
    expect(ignores.seen.dropped).toBe(1);
  });

  test("that loses its permission fails with it at once", async () => {
    const { call, seen } = begin();
    call.revoke(new CoreError("tool.permission_denied", "gone"));
    expect(await call.outcome).toMatchObject({ status: "failed", error: { code: "tool.permission_denied" } });
    expect(seen.canceled).toEqual(["gone"]);
  });
});
