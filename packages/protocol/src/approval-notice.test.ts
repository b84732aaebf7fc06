import { expect, test } from "vitest";
import { noLongerApproved } from "./approval-notice.ts";
import type { AgentDetailJson } from "./control-shapes.ts";

test("says what is not approved any more, and what a run keeps of it until its end", () => {
  const approving = (permissions: string[], status = "active"): AgentDetailJson["approval"] =>
    ({ status, approved_permissions: permissions }) as unknown as AgentDetailJson["approval"];
  const pending = { removed: ["env:read:TOKEN"], added: [] };
  const before = approving(["tool:invoke:a.b/c", "tool:invoke:a.b/d", "env:read:TOKEN"]);
  const narrowed = { approval: approving(["tool:invoke:a.b/d"]), pending_permissions: pending };
  expect(noLongerApproved({ approval: before, pending_permissions: null }, narrowed)).toEqual([
    "no longer approved: tool:invoke:a.b/c; takes effect at once",
    "no longer approved: env:read:TOKEN; takes effect at the next start",
  ]);
  const none = { approval: null, pending_permissions: null };
  const wider = { approval: approving(["tool:invoke:a.b/*", "env:read:TOKEN"]), pending_permissions: null };
  expect(noLongerApproved({ approval: before, pending_permissions: null }, wider)).toEqual([]);
  expect(noLongerApproved(none, narrowed)).toEqual([]);
  expect(noLongerApproved({ ...none, approval: approving(["x:a"], "revoked") }, narrowed)).toEqual([]);
});

test("a permission in the words of others stays on its line", () => {
  const approval = {
    status: "active",
    approved_permissions: ["env:read:A\n\u202eB"],
  } as unknown as AgentDetailJson["approval"];
  const [line] = noLongerApproved(
    { approval, pending_permissions: null },
    { approval: null, pending_permissions: null },
  );
  expect(line).toBe(String.raw`no longer approved: env:read:A \u202eB; takes effect at once`);
});
