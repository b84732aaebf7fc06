/** How runs end, and who follows their output; the hard cases of it are in files of their own. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LogRecordJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { actsIn, type Run } from "../support/agent-acts.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { misbehaving, program, say, watchMemory } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following, typeNextStep } from "../support/terminal.ts";

const GRACE_MS = 1_500;
/** How far Core's memory may rise: by less than the logs that are read, by more than a young heap does. */
const MAX_RISE = 48 * 1024 * 1024;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ settings: { "launcher.stop_grace_ms": GRACE_MS } });
});
afterAll(() => home.dispose());

const { enabled, run, stop, newest, ended, logs, eventsOf } = actsIn(() => home);

describe("a stop", () => {
  test("of an agent that never ran is not found", async () => {
    await enabled("stop.never", {});
    const { next_step: nextStep } = await refuse(home, ["agents", "stop", "stop.never"], {
      code: "run.not_found",
      exit: 3,
    });
    await typeNextStep(home, nextStep);
  });
});

describe("an end that nobody asked for", () => {
  test("within the start window fails the run, with its last lines and its exit code", async () => {
    await enabled("end.early", program('#!/bin/sh\necho "cannot read my settings" >&2\nexit 3\n'));
    const expected = { code: "launcher.exited_early", exit: 1, next: "opensentience agents logs end.early" } as const;
    const { details, next_step: nextStep } = await refuse(home, ["agents", "run", "end.early"], expected);
    expect(details).toMatchObject({
      run: { status: "crashed", exit_code: 3, reason: "exited with code 3" },
      last_lines: ["cannot read my settings"],
    });
    expect(await typeNextStep(home, nextStep)).toContain("cannot read my settings");
    const { code, stdout, stderr } = await home.cli(["agents", "run", "end.early"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("| cannot read my settings");
    expect(await home.json(["agents", "info", "end.early"])).toMatchObject({
      status: "error",
      last_error: "exited with code 3",
      last_error_at: expect.stringMatching(/^20/),
    });
    expect((await home.cli(["agents", "info", "end.early"])).stdout).toMatch(/\n {2}last error +exited with code 3\n/);
  });

  test("is told as past, with its time, once the agent runs again", async () => {
    const text = '#!/bin/sh\necho started\n[ -e "$HOME/second" ] || { : > "$HOME/second"; exit 3; }\nexec sleep 1000\n';
    await enabled("end.once", { "bin/agent": { text, mode: 0o755 } });
    expect((await home.cli(["agents", "run", "end.once"])).code).toBe(1);
    const over = await ended("end.once");
    expect((await run("end.once")).status).toBe("running");
    expect(await home.json(["agents", "info", "end.once"])).toMatchObject({
      status: "running",
      last_error: "exited with code 3",
      last_error_at: over.stopped_at,
    });
    const { stdout } = await home.cli(["agents", "info", "end.once"]);
    expect(stdout).toMatch(/\n {2}past error +\d\d:\d\d:\d\d: exited with code 3\n/);
    expect(stdout).not.toContain("last error");
    expect(await stop("end.once")).toMatchObject({ status: "stopped" });
    expect(await home.json(["agents", "info", "end.once"])).toMatchObject({ last_error: null, last_error_at: null });
  });

  test.each([
    ["code 3", { exit_code: 3, signal: null, reason: "exited with code 3" }],
    ["code 0", { exit_code: 0, signal: null, reason: "exited with code 0" }],
    ["signal SEGV", { exit_code: null, signal: "SIGSEGV", reason: "ended by SIGSEGV" }],
  ])("later is recorded as a crash: %s", async (word, end) => {
    const agentId = `end.${word.replace(" ", "-").toLowerCase()}`;
    await enabled(agentId, misbehaving("ends-on-word.sh"));
    const started = await run(agentId);
    expect(started.status).toBe("running");
    say(home, agentId, word);
    const over = await ended(agentId);
    expect(over).toMatchObject({ run_id: started.run_id, status: "crashed", ...end });
    expect(await logs(agentId)).toContain(`last words: ${word}`);
    expect(eventsOf(started.run_id).at(-1)).toBe("agent.run_crashed ended");
    const event = auditRows(home, "agent.run_crashed").find(({ subject }) => subject === started.run_id);
    expect(event).toMatchObject({ outcome: "failed", metadata: end });
    expect(await home.json(["agents", "info", agentId])).toMatchObject({ status: "error", last_error: over.reason });
  });
});

describe("runs asked for at once", () => {
  test("15 five runs asked for at once", async () => {
    await enabled("race.run", {});
    const attempts = await Promise.all(
      Array.from({ length: 5 }, () => home.cli(["agents", "run", "race.run", "--json"])),
    );
    expect(attempts.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([0, 6, 6, 6, 6]);
    for (const { code, stderr } of attempts) {
      if (code === 0) continue;
      const { error } = JSON.parse(stderr) as { error: { code: string; next_step: string } };
      expect(error).toMatchObject({
        code: "launcher.already_running",
        next_step: "opensentience agents stop race.run",
      });
    }
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps", "--all"]);
    expect(items.filter((one) => one.agent_id === "race.run")).toHaveLength(1);
    await typeNextStep(home, "opensentience agents stop race.run");
    expect((await newest("race.run")).status).toBe("stopped");
  });
});

describe("reading the logs", () => {
  const LINES = 16_000;

  test.each([[[]], [["-f"]]])("of 64 MiB takes Core no memory, options %j", async (how) => {
    const agentId = `read.large${how.length}`;
    await enabled(agentId, program("#!/bin/sh\nexit 1\n"));
    await home.fails(["agents", "run", agentId]);
    const { log_path: path } = await newest(agentId);
    const text = "x".repeat(4_000);
    const line = (index: number): string => `2026-01-01T00:00:00.000000000Z stdout F ${index} ${text}\n`;
    for (const [file, from] of [
      [`${path}.1`, 0],
      [path, LINES / 2],
    ] as const)
      writeFileSync(file ?? "", Array.from({ length: LINES / 2 }, (_, index) => line(from + index)).join(""));
    const memory = watchMemory(await home.corePid());
    // One reader stops reading and leaves in the middle; another takes everything.
    const leaving = new Following(home, ["agents", "logs", agentId, ...how]);
    leaving.pause();
    const { code, stdout } = await home.cli(["agents", "logs", agentId, ...how]);
    await leaving.kill();
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(LINES);
    for (const index of [0, LINES / 2, LINES - 1]) expect(lines[index]).toContain(` ${index} x`);
    expect(memory.risenBytes()).toBeLessThan(MAX_RISE);
  });
});

describe("following the logs", () => {
  test("ends when the run ends, with everything in it", async () => {
    await enabled("follow.end", misbehaving("ends-on-word.sh"));
    await run("follow.end");
    const following = new Following(home, ["agents", "logs", "follow.end", "-f", "--json"]);
    await following.until(/"ready"/);
    say(home, "follow.end", "code 5");
    const { code, lines } = await following.end();
    expect(code).toBe(0);
    expect(lines.map((line) => (JSON.parse(line) as LogRecordJson).line)).toEqual(["ready", "last words: code 5"]);
  });

  test("survives a reader that does not read: nothing is lost for it, and nobody waits for it", async () => {
    const count = 12_000;
    const text = `#!/bin/sh\ni=0\nwhile [ $i -lt ${count} ]; do echo "line $i of many"; i=$((i + 1)); done\necho "all said"\nexec sleep 1000\n`;
    await enabled("follow.slow", program(text));
    await run("follow.slow");
    const following = new Following(home, ["agents", "logs", "follow.slow", "-f", "--json"]);
    following.pause();
    await eventually(async () => (await logs("follow.slow", "--tail", "1")).includes("all said"), "all lines");
    const others = await home.json<{ items: Run[] }>(["agents", "ps"]);
    expect(others.items.map(({ agent_id: id }) => id)).toEqual(["follow.slow"]);
    await stop("follow.slow");
    following.resume();
    const { code, lines } = await following.end();
    expect(code).toBe(0);
    const shown = lines.map((line) => (JSON.parse(line) as LogRecordJson).line);
    expect(shown).toEqual([
      ...Array.from({ length: count }, (_, index) => `line ${index} of many`),
      "all said",
      "Core ends the run: a stop was asked for",
    ]);
  });

  test("is ended by Ctrl-C, and the agent runs on", async () => {
    await smallAgentAt(home, "follow.interrupt", "running");
    const following = new Following(home, ["agents", "logs", "follow.interrupt", "-f"]);
    await following.until(/started/);
    expect(await following.interrupt()).toMatchObject({ code: 130, stderr: "" });
    expect((await newest("follow.interrupt")).status).toBe("running");
    await stop("follow.interrupt");
  });
});

test("after all of this nothing of any run is alive, and the audit log is intact", async () => {
  expect(await home.json(["agents", "ps"])).toEqual({ items: [], next: null });
  const core = await home.corePid();
  expect(home.processes().filter(({ pid }) => pid !== core)).toEqual([]);
  expect(readdirSync(join(home.folder, "run/agents"))).toEqual([]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});
