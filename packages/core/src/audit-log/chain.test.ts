import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digestMetadata, GENESIS, hashRow, type AuditRow } from "./chain.ts";

const ROW: Omit<AuditRow, "row_hash"> = {
  seq: 1,
  event_id: "evt_0190",
  at: "2026-01-31T12:00:00.000Z",
  event_type: "core.started",
  severity: "info",
  outcome: "ok",
  observer: "core_0190",
  actor_type: "system",
  actor_id: "system:core",
  subject_type: "core",
  subject_id: "core_0190",
  correlation_id: null,
  causation_id: null,
  metadata_json: '{"version":"0.1.0"}',
  meta_salt: "00112233445566778899aabbccddeeff",
  meta_digest: "ab".repeat(32),
  prev_hash: GENESIS,
};

describe("the hash of a row", () => {
  test("is the one that the docs describe, made here from nothing but SHA-256 and JSON", () => {
    const fields = [
      1,
      ROW.event_id,
      ROW.at,
      "core.started",
      "info",
      "ok",
      "core_0190",
      "system",
      "system:core",
      "core",
      "core_0190",
      null,
      null,
      ROW.meta_digest,
    ];
    const expected = createHash("sha256")
      .update(Buffer.of(0))
      .update(Buffer.alloc(32))
      .update(JSON.stringify(fields))
      .digest("hex");
    expect(hashRow(ROW)).toBe(expected);
  });

  test("is final: rows that were written once must fit for ever", () => {
    expect(hashRow(ROW)).toBe("224ae52b836436ce5b4edf940d2bd4a6cf678b1cc5a662c37a3ed796e8d34808");
    expect(digestMetadata("00112233445566778899aabbccddeeff", '{"version":"0.1.0"}')).toBe(
      "b0125b62279fb431e2bf54cc5633c9c5d0bdfedef062df3e8f7788158ce760b1",
    );
  });

  test("changes with every field but the metadata themselves, which their digest stands for", () => {
    const stored: Record<string, unknown> = ROW;
    for (const key of Object.keys(ROW)) {
      const value =
        typeof stored[key] === "number" ? 2 : key === "prev_hash" ? "11".repeat(32) : `${String(stored[key])}x`;
      const changed = hashRow({ ...ROW, [key]: value } as Omit<AuditRow, "row_hash">);
      expect(changed === hashRow(ROW), key).toBe(key === "metadata_json" || key === "meta_salt");
    }
  });

  test("tells nothing from an empty text", () => {
    expect(hashRow({ ...ROW, correlation_id: "" })).not.toBe(hashRow(ROW));
  });

  test("never lets two rows with other texts look alike, however the texts are cut", () => {
    // Few characters, and those that a careless format would confuse, so that near misses are common.
    const character = fc.constantFrom("a", "b", ",", '"', "\\", "\0", "\n", "ä", "");
    const text = fc.array(character, { maxLength: 4 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, text, text, text, (actor, subject, otherActor, otherSubject) => {
        const one = hashRow({ ...ROW, actor_id: actor, subject_type: subject });
        const other = hashRow({ ...ROW, actor_id: otherActor, subject_type: otherSubject });
        expect(one === other).toBe(actor === otherActor && subject === otherSubject);
      }),
    );
  });
});

describe("the digest of metadata", () => {
  test("needs the salt: without it a short value cannot be guessed from what stays after an erasure", () => {
    const metadata = '{"code":"x"}';
    expect(digestMetadata("00".repeat(16), metadata)).not.toBe(digestMetadata("01".repeat(16), metadata));
    expect(digestMetadata("00".repeat(16), metadata)).not.toBe(createHash("sha256").update(metadata).digest("hex"));
  });

  test("changes with every byte of the metadata", () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (one, other) => {
        const salt = "77".repeat(16);
        expect(digestMetadata(salt, one) === digestMetadata(salt, other)).toBe(one === other);
      }),
    );
  });
});
