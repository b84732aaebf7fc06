/** Command lines that cannot be meant, choices that nobody was asked for, and a Core that is not there. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorCode } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { denials, refuse } from "../support/refuse.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

const ID = "com.example.usage";
const REQUESTED = ["filesystem:read:~/notes/**", "network:egress:example.com:443"];

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  const build = { steps: [{ phase: "compile", argv: ["true"] }] };
  await smallAgentAt(home, ID, "installed", { permissions: REQUESTED, build });
});
afterAll(() => home.dispose());

describe("a command line that breaks the table is refused with the help to read:", () => {
  const typed = new Set<string>();
  test.each<[args: string[], message: RegExp, next: string]>([
    [["agent", "list"], /did you mean "agents"/, "opensentience help"],
    [["agents", "lsit"], /did you mean "(agents )?list"/, "opensentience help agents"],
    [["agents"], /agents/, "opensentience help agents"],
    [["agents", "list", "--al"], /unknown option "--al"/, "opensentience help agents list"],
    [["agents", "run"], /ID is missing/, "opensentience help agents run"],
    [["agents", "run", ID, "extra"], /after --/, "opensentience help agents run"],
    [["agents", "run", ID, "--restart", "sometimes"], /never, on-failure, always/, "opensentience help agents run"],
    [["agents", "run", ID, "--restart"], /needs a value/, "opensentience help agents run"],
    [["agents", "run", ID, "--every", "1"], /after --/, "opensentience help agents run"],
    [["agents", "uninstall", ID], /did you mean "agents remove"/, "opensentience help agents"],
    [["agents", "run", ID, "--yes=1"], /takes no value/, "opensentience help agents run"],
    [["agents", "logs", ID, "--tail", "few"], /whole number/, "opensentience help agents logs"],
    [["agents", "logs", ID, "--tail=-1"], /whole number/, "opensentience help agents logs"],
    [["agents", "logs", ID, "--since", "lately"], /duration such as 10m/, "opensentience help agents logs"],
    [
      ["agents", "install", "https://e.x/a", "--git-url", "https://e.x/b"],
      /twice/,
      "opensentience help agents install",
    ],
    [["agents", "install", ID, "--ref", "a", "--ref", "b"], /twice/, "opensentience help agents install"],
    [["agents", "enable", ID, "--all", "--approve", "x:y"], /exclude/, "opensentience help agents enable"],
    [["audit", "list", "--severity", "loud"], /info, warn, error, security/, "opensentience help audit list"],
    [["audit", "list", "--type", "agent.enabld"], /did you mean "agent.enabled"/, "opensentience help audit list"],
    [["audit", "list", "--type", "toString"], /no event type "toString"/, "opensentience help audit list"],
    [["audit", "list", "--limit", "0"], /from 1 to 500/, "opensentience help audit list"],
    [["audit", "list", "--limit", "501"], /from 1 to 500/, "opensentience help audit list"],
    [["core", "start", "--set", "launcher"], /KEY=VALUE/, "opensentience core status"],
  ])("%j", async (args, message, next) => {
    const error = await refuse(home, args, { code: "usage.invalid", exit: 2, next });
    expect(error.message).toMatch(message);
    if (typed.has(next)) return;
    typed.add(next);
    const isHelp = next.startsWith("opensentience help");
    expect(await typeNextStep(home, next)).toContain(isHelp ? "opensentience" : home.folder);
  });

  test("for people the same, on stderr alone", async () => {
    const { code, stdout, stderr } = await home.cli(["agents", "run"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: ID is missing: .* \(usage\.invalid\)\nnext: opensentience help agents run\n$/);
  });
});

test("what is not there is not found", async () => {
  const event = { code: "audit.event_not_found", exit: 3, next: "opensentience audit list" } as const;
  await refuse(home, ["audit", "show", "evt_nobody"], event);
  expect(await typeNextStep(home, event.next)).toContain("agent.installed");
  const explained = await home.fails(["explain", "enablement.drift"]);
  expect([explained.code, explained.error.next_step]).toEqual([3, "opensentience explain enablement.drifted"]);
  expect(await typeNextStep(home, explained.error.next_step)).toContain("exit code");
});

describe("where nobody can be asked", () => {
  test("a build needs --yes", async () => {
    const next = `opensentience agents build ${ID} --yes`;
    const expected = { code: "usage.confirmation_required", exit: 2, next } as const;
    const error = await refuse(home, ["agents", "build", ID], expected);
    expect(error.details).toEqual({ flag: "--yes" });
    const piped = await home.cli(["agents", "build", ID], { input: "y\n" });
    expect([piped.code, piped.stderr.includes("--yes")]).toEqual([2, true]);
    expect(await home.json(["agents", "info", ID])).toMatchObject({ build_status: "not_built" });
    await typeNextStep(home, next);
    expect(await home.json(["agents", "info", ID])).toMatchObject({ build_status: "built" });
  });

  test("an approval needs --all or --approve, and nothing is approved by default", async () => {
    const next = `opensentience agents info ${ID}`;
    const expected = { code: "enablement.choice_required", exit: 2, next } as const;
    const error = await refuse(home, ["agents", "enable", ID], expected);
    expect(error.details).toEqual({ flags: ["--all", "--approve"] });
    const piped = await home.cli(["agents", "enable", ID], { input: "a\ny\n" });
    expect([piped.code, piped.stdout]).toEqual([2, ""]);
    const shown = await typeNextStep(home, next);
    for (const permission of REQUESTED) expect(shown).toContain(permission);
    expect(await home.json(["agents", "info", ID])).toMatchObject({ approval: null });
  });
});

describe("an approval", () => {
  test("of something the manifest does not request is refused, by exact string", async () => {
    const next = `opensentience agents info ${ID}`;
    const expected = { code: "enablement.not_requested", exit: 4, next, about: ID } as const;
    for (const permission of ["filesystem:read:~/notes/a", "network:egress:*", "FILESYSTEM:READ:~/notes/**", "x"]) {
      const error = await refuse(home, ["agents", "enable", ID, "--approve", permission], expected);
      expect(error.details).toEqual({ not_requested: [permission], requested_permissions: REQUESTED });
    }
    const mixed = `${REQUESTED[0]},network:egress:*`;
    await refuse(home, ["agents", "enable", ID, "--approve", mixed], expected);
    expect(await home.json(["agents", "info", ID])).toMatchObject({ approval: null });
    const asked = auditRows(home, "agent.enable_requested").filter(({ subject }) => subject === ID);
    const denied = denials(home).filter(({ metadata }) => metadata["code"] === "enablement.not_requested");
    expect(asked.map(({ correlation }) => correlation)).toEqual(denied.map(({ correlation }) => correlation));
    await typeNextStep(home, next);
  });

  test("ends in the future and within ten years", async () => {
    const next = "opensentience help agents enable";
    const expected = { code: "enablement.invalid_expiry", exit: 2, next } as const;
    for (const expires of ["0m", "soon", "30", "9999d", "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "1w", "-5m"])
      await refuse(home, ["agents", "enable", ID, "--all", `--expires=${expires}`], expected);
    expect(await typeNextStep(home, next)).toContain("--expires");
    expect(await home.json(["agents", "info", ID])).toMatchObject({ approval: null });
  });
});

describe("a Core that is not there", () => {
  test("is not started against --no-start, and core start brings it", async () => {
    const own = await newHome();
    const next = "opensentience core start";
    for (const args of [
      ["agents", "list"],
      ["agents", "run", ID],
      ["agents", "enable", ID, "--all"],
      ["audit", "verify"],
    ])
      await refuse(own, [...args, "--no-start"], { code: "core.unreachable", exit: 5, next });
    const down = await own.cli(["core", "status", "--json"]);
    expect([down.code, down.stderr]).toEqual([5, ""]);
    expect(JSON.parse(down.stdout)).toMatchObject({ running: false, pid: null, home: own.folder });
    expect(own.processes()).toEqual([]);
    await typeNextStep(own, next);
    expect(await own.json(["agents", "list", "--no-start"])).toEqual({ items: [], next: null });
    await own.dispose();
  });

  test("says which setting keeps it from starting", async () => {
    const own = await newHome();
    const config = join(own.folder, "config.toml");
    const wrong: [string, RegExp][] = [
      ["scan_root = []\n", /did you mean "scan_roots"/],
      ['[launcher]\nstop_grace_ms = "long"\n', /"launcher.stop_grace_ms" must be a whole number/],
      ["[restart\n", /not valid TOML \(line 1\)/],
    ];
    const expected = { code: "config.invalid" satisfies ErrorCode, exit: 1 } as const;
    for (const [text, message] of wrong) {
      writeFileSync(config, text, { mode: 0o600 });
      const error = await refuse(own, ["agents", "list"], expected);
      expect(error.message).toMatch(message);
    }
    await eventually(() => own.processes().length === 0, "what could not start to be gone");
    writeFileSync(config, "[launcher]\nstop_grace_ms = 1000\n");
    await refuse(own, ["core", "start", "--set", "launcher.grace=1"], expected);
    const status = await own.json<{ config: { key: string; value: unknown; origin: string }[] }>(["core", "start"]);
    expect(status.config).toContainEqual({ key: "launcher.stop_grace_ms", value: 1000, origin: "file" });
    expect(readFileSync(config, "utf8")).toBe("[launcher]\nstop_grace_ms = 1000\n");
    await own.dispose();
  });

  test("is one per home: a second one in the foreground is refused", async () => {
    const next = "opensentience core status";
    await refuse(home, ["serve"], { code: "core.already_running", exit: 6, next });
    expect(await typeNextStep(home, next)).toContain(home.folder);
  });
});
