import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExpiry } from "./expiry.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");

describe("an expiry", () => {
  test.each([
    ["45s", "2026-01-31T12:00:45.000Z"],
    ["30m", "2026-01-31T12:30:00.000Z"],
    ["12h", "2026-02-01T00:00:00.000Z"],
    ["7d", "2026-02-07T12:00:00.000Z"],
    ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"],
    ["2030-01-31T12:00:00.5+02:00", "2030-01-31T10:00:00.500Z"],
    ["2026-01-31T12:01Z", "2026-01-31T12:01:00.000Z"],
  ])("%s is understood", (text, at) => {
    expect(parseExpiry(text, NOW)).toBe(at);
  });

  test.each([
    ["", "nothing"],
    ["0m", "no time at all"],
    ["-5m", "a negative duration"],
    ["0s", "no time at all"],
    ["30w", "a unit that is not offered"],
    ["1.5h", "a fraction"],
    ["5", "no unit"],
    ["30m ", "a trailing space"],
    ["2026-01-31T12:00:00Z", "this very moment"],
    ["2020-01-31T12:00:00Z", "the past"],
    ["2030-01-31", "a date without a time"],
    ["2030-01-31T12:00:00", "a time without a zone"],
    ["2030-13-41T12:00:00Z", "a date that does not exist"],
    ["2046-01-31T12:00:00Z", "over ten years"],
    ["999999d", "over ten years as a duration"],
    ["tomorrow", "words"],
  ])("%s is refused: %s", (text) => {
    expect(() => parseExpiry(text, NOW)).toThrow(
      expect.objectContaining({ code: "enablement.invalid_expiry", nextStep: "opensentience help agents enable" }),
    );
  });

  test("whatever is accepted lies in the future, at most ten years away", () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9]{1,7}[mhds]$/),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    fc.assert(
      fc.property(text, (some) => {
        let at = "";
        try {
          at = parseExpiry(some, NOW);
        } catch (error) {
          expect(error).toMatchObject({ code: "enablement.invalid_expiry" });
          return;
        }
        expect(Date.parse(at)).toBeGreaterThan(NOW);
        expect(Date.parse(at) - NOW).toBeLessThanOrEqual(3650 * 86_400_000);
      }),
    );
  });
});
