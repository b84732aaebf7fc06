import type { PsItemJson, RunJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { withRuns } from "./live-runs.ts";

const run = (runId: string, status: RunJson["status"], more: Partial<PsItemJson> = {}): PsItemJson =>
  ({ run_id: runId, status, restart_at: null, ...more }) as PsItemJson;

test("an ended run leaves the live ones, unless it will be started again", () => {
  const before = [run("a", "running", { memory_bytes: 5 }), run("b", "running")];
  expect(withRuns(before, [run("a", "stopped")]).map((one) => one.run_id)).toEqual(["b"]);
  const pending = withRuns(before, [run("b", "crashed", { restart_at: "2030-01-01T00:00:00Z" })]);
  expect(pending.map((one) => [one.run_id, one.status])).toEqual([
    ["a", "running"],
    ["b", "crashed"],
  ]);
});

test("a change keeps what was measured", () => {
  const [changed] = withRuns(
    [run("a", "starting", { memory_bytes: 5 })],
    [{ run_id: "a", status: "running" } as RunJson],
  );
  expect(changed).toMatchObject({ status: "running", memory_bytes: 5 });
});
