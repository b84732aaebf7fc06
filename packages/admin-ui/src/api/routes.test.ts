import { CONTROL_ROUTES } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { requestPath, ROUTES } from "./routes.ts";

test("calls only routes of the control API", () => {
  for (const [operation, route] of Object.entries(ROUTES)) {
    const { method, path } = CONTROL_ROUTES[operation as keyof typeof ROUTES];
    expect({ operation, ...route }).toEqual({ operation, method, path });
  }
});

test("an id stays inside its path segment", () => {
  const stop = (agent_id: string): string => new URL(requestPath("stop_agent", { agent_id }), "http://core").pathname;
  for (const hostile of ["../../core", "a/b", "a?b#c", "%2e%2e", "a\\b"]) {
    expect(stop(hostile)).toMatch(/^\/api\/v1\/agents\/[^/]+\/stop$/);
  }
  for (const noId of ["..", ".", ""]) expect(() => stop(noId)).toThrow("is not an id");
});
