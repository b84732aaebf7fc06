import type { AuditEventJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { eventRows, followedEvents } from "./audit-view.ts";
import { Style } from "./format.ts";

const EVENT = {
  seq: 7,
  at: "2026-01-31T12:00:00.000Z",
  severity: "security",
  event_type: "security.denied",
  outcome: "denied",
  actor_id: "uid:1000(anna)",
  subject_id: "com.example.echo",
  event_id: "evt_1",
  metadata: { code: "enablement.drifted", reason: "never shown" },
} as unknown as AuditEventJson;

test("events say why: the code, else the reason, cut when it is long", () => {
  const plain = new Style({ color: false });
  const [header = "", row = ""] = eventRows(plain, [EVENT]).split("\n");
  expect(row.indexOf("enablement.drifted")).toBe(header.indexOf("WHY"));
  const reason = { ...EVENT, metadata: { reason: `exit\u001b[2J${"x".repeat(90)}` } };
  expect(eventRows(plain, [reason])).toMatch(/ exit\S*x+… {2}evt_1$/);
  const calledOff = { ...EVENT, metadata: { agent_id: "a.b", phase: "restart called off" } };
  expect(eventRows(plain, [calledOff])).toMatch(/ restart called off +evt_1$/);
  expect(eventRows(plain, [{ ...EVENT, metadata: { phase: "ended" } }])).toMatch(/com\.example\.echo +evt_1$/);
  expect(eventRows(plain, [{ ...EVENT, metadata: null }])).toMatch(/com\.example\.echo +evt_1$/);
});

test("a followed log has the columns of the list", () => {
  const style = new Style({ color: false, width: 140 });
  expect(followedEvents(style).header.split(/ +/)).toEqual(
    eventRows(style, [EVENT])
      .split("\n")[0]
      ?.split(/ +/)
      .filter((name) => name !== "ID"),
  );
  expect(followedEvents(style).row(EVENT)).toContain("enablement.drifted");
});
