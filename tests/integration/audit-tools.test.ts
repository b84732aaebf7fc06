/** Erasing, kept checkpoints, CloudEvents, the doctor and completion, through the command line. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cloudEventJson, type AuditEventJson, type DoctorJson, type VerifyJson } from "@opensentience/protocol";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { BINARY, newHome, writeFiles, type CoreHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
const ID = "org.example.audited";

beforeAll(async () => {
  home = await newHome();
  await smallAgentAt(home, ID, "enabled");
});
afterAll(() => home.dispose());

const verify = (...args: string[]): Promise<VerifyJson> =>
  home.json<VerifyJson>(["audit", "verify", ...args], { codes: [0, 1] });
const events = async (type: string): Promise<AuditEventJson[]> =>
  (await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--type", type])).items;

describe("erase", () => {
  test("takes the metadata out of the file, leaves a tombstone, and the chain stays whole", async () => {
    const [target] = await events("agent.discovered").then((found) =>
      found.length > 0 ? found : events("agent.installed"),
    );
    const path = String(target?.metadata?.["path"]);
    await refuse(home, ["audit", "erase", String(target?.seq), "--reason", "test"], {
      code: "usage.confirmation_required",
      exit: 2,
    });
    const erased = await home.json<AuditEventJson>([
      "audit",
      "erase",
      String(target?.seq),
      "--reason",
      "a path that should not be there",
      "--yes",
    ]);
    expect(erased).toMatchObject({ seq: target?.seq, metadata: null, row_hash: target?.row_hash });
    expect((await events("audit.erased"))[0]).toMatchObject({
      subject_id: String(target?.seq),
      metadata: { reason: "a path that should not be there" },
    });
    expect((await verify()).status).toBe("intact");
    const rows = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { readOnly: true });
    expect(
      rows.prepare("SELECT metadata_json, meta_salt FROM audit_events WHERE seq = ?").get(target?.seq ?? 0),
    ).toEqual({ metadata_json: null, meta_salt: null });
    rows.close();
    expect(path).toContain("/");
  });

  test("is refused twice, for a tombstone, and for a row that does not exist", async () => {
    const [tombstone] = await events("audit.erased");
    const again = String(tombstone?.subject_id);
    await refuse(home, ["audit", "erase", again, "--reason", "again", "--yes"], {
      code: "audit.not_erasable",
      exit: 4,
    });
    await refuse(home, ["audit", "erase", String(tombstone?.seq), "--reason", "x", "--yes"], {
      code: "audit.not_erasable",
      exit: 4,
    });
    await refuse(home, ["audit", "erase", "99999999", "--reason", "x", "--yes"], {
      code: "audit.event_not_found",
      exit: 3,
    });
    await refuse(home, ["audit", "erase", "first", "--reason", "x", "--yes"], { code: "usage.invalid", exit: 2 });
  });
});

test("show takes the number that a list shows as well as the id", async () => {
  const [event] = (await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--limit", "1"])).items;
  const { stdout } = await home.cli(["audit", "list", "--limit", "1"]);
  const [first = ""] = stdout.split("\n")[1]?.trim().split(/\s+/) ?? [];
  expect(first).toBe(String(event?.seq));
  expect(await home.json(["audit", "show", first])).toEqual(event);
  expect(await home.json(["audit", "show", String(event?.event_id)])).toEqual(event);
  for (const unknown of ["0", "99999999", "9".repeat(30), "evt_x"])
    await refuse(home, ["audit", "show", unknown], { code: "audit.event_not_found", exit: 3 });
});

describe("verify --against", () => {
  test("accepts a checkpoint of this log, also later, and refuses what this Core did not sign", async () => {
    const { note } = await home.json<{ note: string }>(["audit", "checkpoint"]);
    const file = join(home.operatorHome, "note.txt");
    writeFileSync(file, note);
    await home.json(["agents", "revoke", ID]);
    const { size } = await home.json<{ size: number }>(["audit", "checkpoint"]);
    const given = Number(note.split("\n")[1]);
    expect(given).toBeLessThan(size);
    expect(await verify("--against", file)).toMatchObject({
      status: "intact",
      checkpoint: { size, valid: true },
      against: { size: given, valid: true },
    });
    const { stdout } = await home.cli(["audit", "verify", "--against", file]);
    expect(stdout).toMatch(
      new RegExp(`^\\s*given note +${given} events, .*valid\\n\\s*newest checkpoint +${size} events, .*valid$`, "m"),
    );
    expect((await home.cli(["audit", "verify"])).stdout).not.toContain("given note");
    expect(await verify()).toMatchObject({ against: null });
    writeFileSync(file, note.replace(/^\d+$/m, "1"));
    await refuse(home, ["audit", "verify", "--against", file], { code: "audit.invalid_note", exit: 2 });
    await refuse(home, ["audit", "verify", "--against", join(home.operatorHome, "missing")], {
      code: "usage.invalid",
      exit: 2,
    });
  });
});

test("export as CloudEvents keeps every event whole", async () => {
  const plain = await home.jsonLines<AuditEventJson>(["audit", "export"]);
  const wrapped = await home.jsonLines(["audit", "export", "--format", "cloudevents"]);
  expect(wrapped.map((event) => cloudEventJson.parse(event).data)).toEqual(plain);
});

describe("doctor", () => {
  test("finds nothing failing here, and each finding names what mends it", async () => {
    const report = await home.json<DoctorJson>(["doctor"], { codes: [0, 1] });
    expect(report.checks.map((check) => check.name)).toEqual(
      expect.arrayContaining(["node", "git", "bubblewrap", "database", "audit", "permissions", "socket", "disk"]),
    );
    for (const check of report.checks) if (check.status !== "ok") expect(check.next_step).toMatch(/^\S+/);
    expect(report.checks.filter((check) => check.status === "fail")).toEqual([]);
  });

  test("says what is wrong without a database, and when Core cannot start", async () => {
    const broken = await newHome();
    writeFileSync(join(broken.folder, "config.toml"), "lol = 1\n");
    const report = await broken.json<DoctorJson>(["doctor"], { codes: [1] });
    expect(report.ok).toBe(false);
    expect(report.checks[0]).toMatchObject({
      name: "core",
      status: "fail",
      message: expect.stringContaining("config.invalid"),
    });
    // What can be said of the machine is said all the same.
    expect(report.checks.slice(1).map(({ name, status }) => [name, status])).toEqual(
      expect.arrayContaining([
        ["node", "ok"],
        ["git", "ok"],
        ["bubblewrap", "ok"],
        ["config", "fail"],
        ["disk", expect.stringMatching(/ok|warn/)],
        ["user", process.geteuid?.() === 0 ? "warn" : "ok"],
      ]),
    );
    await broken.dispose();
  });

  test("says while Core runs that config.toml would keep it from starting again", async () => {
    const file = join(home.folder, "config.toml");
    const before = existsSync(file) ? readFileSync(file) : undefined;
    const config = async (): Promise<unknown> =>
      (await home.json<DoctorJson>(["doctor"], { codes: [0, 1] })).checks.find(({ name }) => name === "config");
    expect(await config()).toMatchObject({ status: "ok" });
    writeFileSync(file, "[launcher]\nstop_grace_ms = -1\n");
    expect(await config()).toMatchObject({
      status: "fail",
      message: expect.stringContaining(`not -1 (in ${file})`),
      next_step: `\${EDITOR:-vi} ${file}`,
    });
    if (before === undefined) rmSync(file);
    else writeFileSync(file, before);
    expect(await config()).toMatchObject({ status: "ok" });
  });
});

test("completion scripts hold every command", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { script } = await home.json<{ script: string }>(["completion", shell]);
    for (const word of ["agents", "rollback", "verify", "--restart"]) expect(script).toContain(word.replace(/^--/, ""));
  }
  await refuse(home, ["completion", "tcsh"], { code: "usage.invalid", exit: 2 });
  expect(readFileSync(join(home.folder, "logs/core.log"), "utf8")).not.toContain("fatal");
});

describe("completion", () => {
  /** What bash offers for the last word of `line`, asked of bash itself with the script that is printed. */
  async function offered(line: string[], own: CoreHome = home): Promise<string[]> {
    const { script } = await own.json<{ script: string }>(["completion", "bash", "--no-start"]);
    const words = line.map((word) => `'${word}'`).join(" ");
    const ask = `COMP_WORDS=(opensentience ${words}); COMP_CWORD=${line.length}; _opensentience; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const result = await runTool(["bash", "-c", `${script}\n${ask}`], {
      cwd: own.projects,
      env: { ...own.env, PATH: `${dirname(BINARY)}:${own.env["PATH"] ?? ""}` },
      timeoutMs: 30_000,
      maxBytes: 100_000,
    });
    expect(result.stderr.toString()).toBe("");
    return result.stdout
      .toString()
      .split("\n")
      .filter((word) => word !== "");
  }

  test("offers the values that an option or an argument may have", async () => {
    expect(await offered(["agents", "run", "a.b", "--restart", ""])).toEqual(["never", "on-failure", "always"]);
    expect(await offered(["agents", "run", "a.b", "--restart", "a"])).toEqual(["always"]);
    expect(await offered(["audit", "list", "--severity", "s"])).toEqual(["security"]);
    expect(await offered(["completion", ""])).toEqual(["bash", "zsh", "fish"]);
    const { script } = await home.json<{ script: string }>(["completion", "fish"]);
    expect(script).toContain('-l restart -x -a "never on-failure always"');
    expect(script).toContain('__fish_seen_subcommand_from completion" -f -a "bash zsh fish"');
  });

  test("completion offers the ids of agents, without starting Core", async () => {
    const own = await newHome();
    await writeFiles(join(own.projects, "x"), { [MANIFEST]: manifestText("com.example.tabbed") });
    await own.json(["agents", "scan"]);
    expect(await offered(["agents", "info", "com"], own)).toEqual(["com.example.tabbed"]);
    await own.cli(["core", "stop"]);
    expect(await offered(["agents", "info", "com"], own)).toEqual([]);
    expect((await own.cli(["core", "status"])).code).toBe(5);
    await own.dispose();
  });
});

test("explain finds codes in any case, and names those that are near", async () => {
  expect(await home.json(["explain", "ENABLEMENT.DRIFTED"])).toMatchObject({ code: "enablement.drifted" });
  const { message } = await refuse(home, ["explain", "launcher.early_exit"], {
    code: "usage.unknown_code",
    exit: 3,
    next: /^opensentience explain launcher\./,
  });
  expect(message).toContain('"launcher.exited_early"');
});

test("an option that is needed is named, and a number below zero is a number", async () => {
  const usage = { code: "usage.invalid", exit: 2 } as const;
  const erase = await refuse(home, ["audit", "erase", "1"], usage);
  expect(erase.message).toBe("--reason TEXT is missing: why; kept in the tombstone");
  expect((await home.cli(["help", "audit", "erase"])).stdout).toContain("audit erase SEQ --reason TEXT [--yes]");
  const tail = await refuse(home, ["agents", "logs", "a.b", "--tail", "-1"], usage);
  expect(tail.message).toBe("--tail must be a whole number from 0 to 100000");
});
