import { AGENT_MESSAGES, decodeMessage, encodeMessage, type AgentMessage } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { RunCalls } from "./run-calls.ts";
import { Threads } from "./threads.ts";
import type { Session } from "./session.ts";
import type { CallRequest, ToolRouter } from "./tool-router.ts";

type CallMessage = Extract<AgentMessage, { type: "agent.tool.call" }>;

function callWith(correlation_id: string | undefined): CallMessage {
  const payload = { call_id: "c", tool_id: "com.example.a/b", input: {} };
  const frame = encodeMessage("agent.tool.call", payload, { id: "m", ts: "2026-01-31T12:00:00.000Z", correlation_id });
  return decodeMessage(frame.subarray(4), AGENT_MESSAGES) as CallMessage;
}

test("an agent's own correlation id does not reach the log", () => {
  const asked: CallRequest[] = [];
  const router = { call: (request: CallRequest) => (asked.push(request), new Promise(() => {})) };
  const threads = new Threads();
  const session = { run: { agentId: "com.example.caller" }, send: () => {}, threads };
  const threadOf = (correlationId: string | undefined): string | null | undefined => {
    const calls = new RunCalls(
      router as unknown as ToolRouter,
      session as unknown as Session,
      () => {},
      () => {},
    );
    calls.begin(callWith(correlationId));
    return asked.at(-1)?.act.correlationId;
  };
  const id = "01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f";
  for (const own of [`cor_${id}`, `web_${id}`, `call_${id}`]) {
    // Well formed, and of a call that was never handed to it.
    expect(threadOf(own)).toBeNull();
    threads.handed(own);
    expect(threadOf(own)).toBe(own);
  }
  for (const foreign of [undefined, "hunter2-hunter2", `run_${id}`, `cor_${id} `, `cor_${id}x`, `x cor_${id}`, "cor_"])
    expect(threadOf(foreign)).toBeNull();
  for (let more = 0; more < 999; more += 1) threads.handed(`call_${more}`);
  expect([threadOf(`call_${id}`), threadOf(`web_${id}`)]).toEqual([`call_${id}`, null]);
});
