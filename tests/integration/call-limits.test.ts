/** How long calls may take, and how many there may be at once: the manifest's limits, and the share of one calling agent. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditEventJson, ToolCallJson } from "@opensentience/protocol";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";

type CallMessage = { payload: { call_id: string; timeout_ms: number } };

let home: CoreHome;
let callee: Speaker;
beforeAll(async () => {
  home = await newHome();
  const limits = { max_tool_call_duration: "1s", max_concurrent_calls: 3 };
  callee = await Speaker.install(home, "com.example.callee", ["tools"], [], { execution_limits: limits });
});
afterAll(() => home.dispose());

async function nextCall(peer: Peer): Promise<CallMessage> {
  return (await answer(peer, { type: "core.tool.call" })) as CallMessage;
}

test("a call takes no longer than its agent's manifest says, whoever asks for more", async () => {
  const peer = await callee.open();
  const args = ["tools", "call", `${callee.agentId}/say`, "--timeout", "60"];
  const result = home.json<ToolCallJson>(args, { codes: [1] });
  const call = await nextCall(peer);
  expect(call.payload.timeout_ms).toBe(1_000);
  // Progress extends the time without progress, not this one.
  const piece = { call_id: call.payload.call_id, seq: 1, channel: "status", data: { text: "at it" } };
  peer.send({ type: "agent.tool.stream", payload: piece });
  expect(await result).toMatchObject({ status: "failed", error: { code: "tool.timeout" } });
});

test("who calls too often is told how long to wait", async () => {
  const limits = { rate_limit: "1/hour" };
  const rated = await Speaker.install(home, "com.example.rated", ["tools"], [], { execution_limits: limits });
  const peer = await rated.open();
  const args = ["tools", "call", `${rated.agentId}/say`];
  const first = home.json<ToolCallJson>(args);
  const { call_id } = (await nextCall(peer)).payload;
  peer.send({ type: "agent.tool.result", payload: { call_id, status: "succeeded", output: 1 } });
  expect(await first).toMatchObject({ status: "succeeded" });
  const { code, stderr } = await home.cli(args);
  expect(code).toBe(1);
  expect(stderr).toMatch(/the agent's calls are used up \(1 per hour\); again in 60 minutes \(limit\.rate\)\n/);
  expect(stderr).toMatch(/\nnext: wait 60 minutes, then call again\n$/);
});

test("a repeated call is on record, and counts", async () => {
  const limits = { rate_limit: "2/hour" };
  const rated = await Speaker.install(home, "com.example.repeated", ["tools"], [], { execution_limits: limits });
  const peer = await rated.open();
  const args = ["tools", "call", `${rated.agentId}/say`, "--idempotency-key", "k"];
  const first = home.json<ToolCallJson>(args);
  const { call_id } = (await nextCall(peer)).payload;
  peer.send({ type: "agent.tool.result", payload: { call_id, status: "succeeded", output: 1 } });
  expect(await home.json(args)).toEqual(await first);
  const { items } = await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--agent", rated.agentId]);
  const ofCall = items.filter(({ event_type: type }) => type.startsWith("tool.")).toReversed();
  expect(ofCall.map(({ event_type: type, metadata }) => [type, metadata?.["call_id"]])).toEqual(
    ["tool.call_routed", "tool.call_completed", "tool.call_repeated"].map((type) => [type, call_id]),
  );
  expect((await home.cli(args)).stderr).toContain("limit.rate");
});

test("an agent gets half of another's calls, and the rest is for others", async () => {
  const caller = await Speaker.install(home, "com.example.caller", ["tools"], [`tool:invoke:${callee.agentId}/say`]);
  const [called, calling] = [await callee.open(), await caller.open()];
  const ask = (call_id: string): void =>
    calling.send({ type: "agent.tool.call", payload: { call_id, tool_id: `${callee.agentId}/say`, input: {} } });
  for (const call_id of ["one", "two", "three"]) ask(call_id);
  const refused = { code: "limit.concurrency", details: { calls_at_once: 3, share_of_one_agent: 2 } };
  await answer(calling, { type: "core.tool.result", payload: { call_id: "three", status: "failed", error: refused } });
  const first = [await nextCall(called), await nextCall(called)];
  const control = await controlOf(home);
  const params = { agent_id: callee.agentId, tool_name: "say" };
  const operated = control.call("call_tool", { params, body: { input: {} } });
  const third = await nextCall(called);
  for (const { payload } of [...first, third])
    called.send({ type: "agent.tool.result", payload: { call_id: payload.call_id, status: "succeeded", output: 1 } });
  expect(await operated).toMatchObject({ status: "succeeded" });
  for (const call_id of ["one", "two"])
    await answer(calling, { type: "core.tool.result", payload: { call_id, status: "succeeded" } });
  ask("four");
  await nextCall(called);
});
