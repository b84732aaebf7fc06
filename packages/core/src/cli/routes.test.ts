import { CONTROL_ROUTES } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { requestPath, ROUTES } from "./routes.ts";

test("calls exactly the routes of the control API", () => {
  const contract = Object.fromEntries(
    Object.entries(CONTROL_ROUTES).map(([operation, { method, path }]) => [operation, { method, path }]),
  );
  expect(ROUTES).toEqual(contract);
});

test("keeps an id inside its path segment", () => {
  const stop = (agent_id: string): string => new URL(requestPath("stop_agent", { agent_id }), "http://core").pathname;
  for (const hostile of ["../../core", "a/b", "a?b#c", "%2e%2e", "a\\b"]) {
    expect(stop(hostile).split("/")).toHaveLength(6);
    expect(stop(hostile)).toMatch(/^\/api\/v1\/agents\/[^/]+\/stop$/);
  }
  for (const noId of ["..", ".", ""]) expect(() => stop(noId)).toThrow("is not an id");
});

test("leaves undefined query values out and encodes the rest", () => {
  expect(requestPath("list_agents", {}, { q: "a&b=c", cursor: undefined, limit: 5 })).toBe(
    "/api/v1/agents?q=a%26b%3Dc&limit=5",
  );
  expect(requestPath("get_status")).toBe("/api/v1/core/status");
});
