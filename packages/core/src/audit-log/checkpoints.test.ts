import { createHash } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { auditLogIn, disposeLog, logOfTen } from "../../../../tests/support/audit-log.ts";
import { Storage } from "../storage/storage.ts";
import { type AuditLog, Checkpoints, SYSTEM_ACT } from "./audit-log.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;
let torn: number[];
const onTornNote = (bytes: number): void => void torn.push(bytes);
const open = (): Promise<AuditLog> => auditLogIn(folder, storage, onTornNote);

beforeEach(async () => {
  torn = [];
  ({ folder, storage, audit } = await logOfTen({ onTornNote }));
});
afterEach(() => disposeLog({ folder, storage, audit }));

function started(id: string): string {
  return audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id } });
}

describe("the file of checkpoints", () => {
  const file = (): string => join(folder, "checkpoints");
  const notes = (): string[] =>
    readFileSync(file(), "utf8")
      .split(/(?<=\n\u2014 [^\n]*\n)\n/)
      .filter((one) => one !== "");

  test("links each note to the one before, as a line of a signed note", () => {
    const [first = "", second = ""] = notes();
    expect(first).not.toContain("previous");
    const digest = createHash("sha256").update(first).digest("base64");
    expect(second).toMatch(
      /^opensentience\/audit\n7\n[^\n]+\nat [^\n]+\nprevious [^\n]+\n\n\u2014 opensentience-core [^\n]+\n$/,
    );
    expect(second).toContain(`\nprevious ${digest}\n`);
  });

  test.each([
    ["removed", () => rmSync(file())],
    ["emptied", () => writeFileSync(file(), "")],
    ["shortened by its last note", () => writeFileSync(file(), `${notes()[0]}\n`)],
    ["shortened by its first note", () => writeFileSync(file(), `${notes()[1]}\n`)],
  ])("finds a file of checkpoints that was %s, also after Core signed again", async (_how, attack) => {
    attack();
    const missing = {
      status: "tampered",
      first_bad_seq: null,
      message: expect.stringContaining("checkpoint is missing"),
    };
    expect(await audit.verify()).toMatchObject(missing);
    audit = await open();
    expect(await audit.verify()).toMatchObject(missing);
    started("c");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject(missing);
    audit = await open();
    expect(await audit.verify()).toMatchObject(missing);
  });

  test.each([[40], [120], [200], [-1]])(
    "takes half a note that a crash left for none, and cuts it off (%i)",
    async (kept) => {
      started("c");
      const copy = await Checkpoints.open(join(folder, "key"), join(folder, "other"), () => {});
      const { note } = await copy.write(11, audit.head.hash, new Date().toISOString(), "ab".repeat(32));
      appendFileSync(file(), note.slice(0, kept));
      audit = await open();
      expect(await audit.verify()).toMatchObject({ status: "intact" });
      await audit.checkpoint();
      expect(torn).toEqual([Buffer.byteLength(note.slice(0, kept))]);
      expect(notes()).toHaveLength(3);
      expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 11 } });
    },
  );

  test("with a whole note that nobody signed stays tampered", async () => {
    const [, second = ""] = notes();
    appendFileSync(file(), `${second.replace("\n7\n", "\n8\n")}\n`);
    audit = await open();
    started("c");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject({
      status: "tampered",
      message: expect.stringContaining("not signed by"),
    });
  });

  test("with several notes finds that the database was made to forget the newest checkpoint", async () => {
    storage.prepare("DELETE FROM audit_checkpoint").run();
    const forgotten = {
      status: "tampered",
      first_bad_seq: null,
      message: "there are 2 checkpoints, and the database has lost the newest of them",
    };
    expect(await audit.verify()).toMatchObject(forgotten);
    audit = await open();
    expect(audit.problem).toBe(forgotten.message);
    await expect(audit.checkpoint()).rejects.toMatchObject({ code: "audit.not_intact" });
    expect(await audit.verify()).toMatchObject(forgotten);
  });

  test("with one note that the database does not know is what a crash behind it leaves, and a second crash does not look worse", async () => {
    storage.prepare("DELETE FROM audit_checkpoint").run();
    writeFileSync(file(), `${notes()[0]}\n`);
    audit = await open();
    expect(audit.problem).toBeNull();
    expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 3 } });
    storage
      .prepare(
        "CREATE TEMP TRIGGER crash BEFORE INSERT ON main.audit_checkpoint WHEN new.size > 3 BEGIN SELECT RAISE(ABORT, 'killed'); END",
      )
      .run();
    await expect(audit.checkpoint()).rejects.toThrow("killed");
    storage.prepare("DROP TRIGGER crash").run();
    audit = await open();
    expect(notes()).toHaveLength(2);
    expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 10 } });
  });

  test("that has one note more than the database knows is what a crash between the two leaves", async () => {
    const before = storage.prepare("SELECT * FROM audit_checkpoint").get() as Record<string, number | string>;
    started("c");
    await audit.checkpoint();
    storage
      .prepare("UPDATE audit_checkpoint SET size = ?, row_hash = ?, note_hash = ?")
      .run(before["size"] ?? 0, before["row_hash"] ?? "", before["note_hash"] ?? "");
    audit = await open();
    started("d");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 12 } });
  });
});
