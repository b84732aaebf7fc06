import { expect, test } from "vitest";
import { isLacking } from "./late-approval.ts";

const WIDE = "filesystem:read:~/notes/**";
const BEGUN = { permissions: { [WIDE]: "enforced" }, unsandboxedBy: undefined } as const;

test.each([
  [WIDE, false, "it began with it"],
  ["filesystem:read:~/notes/a/**", false, "what it began with covers it"],
  ["filesystem:write:~/notes/a", true, "reading is no writing"],
  ["network:egress:example.com:443", true, "its way out was made at its start"],
  ["env:read:TOKEN", true, "its variables were"],
  ["tool:invoke:com.example.other/search", false, "tools are asked for with every call"],
])("of a run that began with one folder, %s is lacking: %s (%s)", (permission, isMissing) => {
  expect(isLacking(BEGUN, permission)).toBe(isMissing);
});

test("without a sandbox only variables are closed to a run", () => {
  const open = { permissions: {}, unsandboxedBy: "setting" } as const;
  expect([isLacking(open, WIDE), isLacking(open, "env:read:TOKEN")]).toEqual([false, true]);
});
