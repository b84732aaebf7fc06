import { diffPermissions, type DriftJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { standingOf } from "./permission-standing.ts";

const READ = "filesystem:read:/proc/meminfo";
const WIDE = "filesystem:read:/proc/**";
const DECLINED = "network:egress:example.com:443";
const FRESH = "env:read:LANGUAGE";

const approval = { approved_permissions: [READ] };
const drift = (before: string[], after: string[]): Pick<DriftJson, "diff"> => ({
  diff: {
    permissions: diffPermissions(before, after),
    entrypoint: null,
    commit: null,
    fields: [],
    files: { added: [], removed: [], changed: ["bin/agent"] },
  },
});

test("what was declined and is asked for as before is not approved, whatever else moved", () => {
  expect(standingOf(DECLINED, approval, null)).toBe("not approved");
  expect(standingOf(DECLINED, approval, drift([READ, DECLINED], [READ, DECLINED]))).toBe("not approved");
  expect(standingOf(DECLINED, approval, drift([READ, DECLINED], [WIDE, DECLINED, FRESH]))).toBe("not approved");
});

test("what covers more than was asked for is wider, and only what was not asked for at all is new", () => {
  const moved = drift([READ, DECLINED], [WIDE, DECLINED, FRESH]);
  expect(standingOf(WIDE, approval, moved)).toBe("wider");
  expect(standingOf(FRESH, approval, moved)).toBe("new");
});

test("what is narrower than before is not new", () => {
  const wide = { approved_permissions: [WIDE] };
  expect(standingOf(READ, wide, drift([WIDE], [READ]))).toBe("not approved");
});

test("what is approved has no word of its own, and neither has anything before the first approval", () => {
  expect(standingOf(READ, approval, drift([READ], [READ, FRESH]))).toBeUndefined();
  expect(standingOf(READ, null, null)).toBeUndefined();
});
