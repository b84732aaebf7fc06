/** What the audit log promises to its readers: the order of events, one thread per command, and notes anybody can check. */
import { createHash, createPrivateKey, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEventJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { misbehaving } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ env: { OPENSENTIENCE_STOP_GRACE_MS: "500" } });
});
afterAll(() => home.dispose());

const all = (): Promise<AuditEventJson[]> => home.jsonLines<AuditEventJson>(["audit", "export"]);

/** The events of each command that a person gave, as "type outcome phase". */
async function threads(): Promise<string[][]> {
  const human = (await all()).filter((event) => event.actor_type === "human");
  const byCommand = Map.groupBy(human, (event) => event.correlation_id);
  expect(byCommand.has(null)).toBe(false);
  return [...byCommand.values()].map((events) =>
    events.map((event) =>
      `${event.event_type} ${event.outcome} ${String((event.metadata?.["phase"] as string | undefined) ?? "")}`.trim(),
    ),
  );
}

describe("the events of a lifecycle", () => {
  const AGENT = "record.agent";

  test("stand in the promised order, each command a thread of its own", async () => {
    await smallAgentAt(home, AGENT, "running", {}, misbehaving("ignores-sigterm.sh"));
    await home.json(["agents", "restart", AGENT]);
    await home.json(["agents", "stop", AGENT]);
    await home.json(["agents", "revoke", AGENT]);
    await home.fails(["agents", "run", AGENT]);
    await home.fails(["agents", "enable", AGENT, "--approve", "env:read:NOT_REQUESTED"]);
    await home.fails(["agents", "install", home.projects, "--allow-local"]);
    expect(await threads()).toEqual([
      ["agent.installed unknown requested", "agent.installed unknown intent", "agent.installed ok done"],
      ["agent.build_plan_shown ok", "agent.build_started unknown", "agent.built ok"],
      ["agent.enable_requested unknown", "agent.enabled ok"],
      ["agent.run_started unknown intent", "agent.run_started ok started"],
      [
        "agent.run_stopped unknown requested",
        "agent.run_stopped ok ended",
        "agent.run_started unknown intent",
        "agent.run_started ok started",
      ],
      ["agent.run_stopped unknown requested", "agent.run_stopped ok ended"],
      ["agent.permissions_revoked ok"],
      ["security.denied denied"],
      ["agent.enable_requested unknown", "security.denied denied"],
      ["agent.installed unknown requested", "agent.install_failed failed"],
    ]);
  });

  test("name what they followed from", async () => {
    const events = await all();
    const byId = new Map(events.map((event) => [event.event_id, event]));
    // What nothing recorded led to was led to by a request.
    const isOfRequest = ({ causation_id: cause }: AuditEventJson): boolean => cause?.startsWith("call_") === true;
    const first = events.filter(isOfRequest);
    expect(new Set(first.map(({ actor_type: type }) => type))).toEqual(new Set(["human"]));
    const caused = events.filter((event) => event.causation_id !== null && !isOfRequest(event));
    expect(caused.map((event) => event.event_type)).toEqual(
      expect.arrayContaining(["agent.installed", "agent.built", "agent.enabled", "agent.run_started"]),
    );
    for (const event of caused) {
      const cause = byId.get(event.causation_id ?? "");
      expect(cause?.outcome, event.event_type).toBe("unknown");
      expect(cause?.seq).toBeLessThan(event.seq);
      // What a repository holds is not known before it is fetched.
      const isUnnamed = cause?.metadata?.["phase"] === "requested" && cause.subject_id === "unknown";
      const subject = isUnnamed ? event.subject_id : cause?.subject_id;
      expect([subject, cause?.correlation_id]).toEqual([event.subject_id, event.correlation_id]);
    }
  });

  test("are numbered without a gap, in the order of their times, and told apart by the Core that wrote them", async () => {
    const events = await all();
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: events.length }, (_, index) => index + 1));
    expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted());
    expect(new Set(events.map(({ event_id: id }) => id)).size).toBe(events.length);
  });

  test("of acts that let third-party code run say so", async () => {
    for (const event of await all()) {
      const isBoundary = ["agent.build_started", "agent.built", "agent.build_failed", "agent.run_started"].includes(
        event.event_type,
      );
      expect(event.metadata?.["trust_boundary"], event.event_type).toBe(
        isBoundary ? "executes_third_party_code" : undefined,
      );
    }
  });

  test("of a filter are one page after the other what the export holds", async () => {
    const agent = await home.jsonLines<AuditEventJson>(["audit", "export", "--agent", AGENT]);
    const paged: AuditEventJson[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: AuditEventJson[]; next: string | null } = await home.json([
        "audit",
        "list",
        "--agent",
        AGENT,
        "--limit",
        "4",
        ...(cursor === null ? [] : ["--cursor", cursor]),
      ]);
      paged.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    expect(paged.toReversed()).toEqual(agent);
    expect(agent.some((event) => event.subject_type === "run")).toBe(true);
  });
});

describe("checkpoints", () => {
  /** By the text of c2sp.org/signed-note alone; only the public key is Core's. */
  function checkNote(note: string): { origin: string; size: number; hash: string } {
    const border = note.indexOf("\n\n");
    const text = note.slice(0, border + 1);
    const signature = /^— (\S+) ([A-Za-z0-9+/=]+)\n?$/.exec(note.slice(border + 2));
    const [, name = "", encoded = ""] = signature ?? [];
    const blob = Buffer.from(encoded, "base64");
    const publicKey = createPublicKey(createPrivateKey(readFileSync(join(home.folder, "state/audit.key"), "utf8")));
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    const keyId = createHash("sha256").update(`${name}\n`).update(Buffer.of(1)).update(raw).digest().subarray(0, 4);
    expect(blob.subarray(0, 4).equals(keyId)).toBe(true);
    expect(blob).toHaveLength(4 + 64);
    expect(verify(null, Buffer.from(text, "utf8"), publicKey, blob.subarray(4))).toBe(true);
    expect(
      verify(
        null,
        Buffer.from(
          text.replace(/\d/, (digit) => (digit === "9" ? "8" : "9")),
          "utf8",
        ),
        publicKey,
        blob.subarray(4),
      ),
    ).toBe(false);
    const [origin = "", size = "", hash = ""] = text.split("\n");
    return { origin, size: Number(size), hash: Buffer.from(hash, "base64").toString("hex") };
  }

  const notesInFile = (): string[] =>
    readFileSync(join(home.folder, "state/audit.checkpoints"), "utf8")
      .split(/(?<=\n— [^\n]*\n)\n/)
      .filter((note) => note !== "");

  test("are signed notes that another program verifies, each over a row of the log", async () => {
    await home.json(["audit", "checkpoint"]);
    const rows = new Map((await all()).map((event) => [event.seq, event.row_hash]));
    const notes = notesInFile().map(checkNote);
    expect(notes.length).toBeGreaterThan(1);
    for (const { origin, size, hash } of notes) {
      expect(origin).toBe("opensentience/audit");
      expect(hash).toBe(rows.get(size));
    }
    expect(notes.map(({ size }) => size)).toEqual(notes.map(({ size }) => size).toSorted((a, b) => a - b));
  });

  test("on demand are printed byte for byte as they are kept", async () => {
    const { stdout } = await home.cli(["audit", "checkpoint"]);
    expect(checkNote(stdout).size).toBe((await all()).length);
    expect(notesInFile().at(-1)).toBe(stdout);
  });

  test("follow every security event at once, and a clean stop", async () => {
    await smallAgentAt(home, "record.other", "enabled");
    const enabled = (await all()).findLast((event) => event.event_type === "agent.enabled");
    await eventually(
      () => notesInFile().some((note) => checkNote(note).size === enabled?.seq),
      "a checkpoint of the approval",
    );
    await home.cli(["core", "stop"]);
    const newest = checkNote(notesInFile().at(-1) ?? "");
    const events = await all();
    expect(events.find(({ seq }) => seq === newest.size)?.event_type).toBe("core.stopped");
  });
});
