/** Runs that use more than they may, in a real box: each is ended by what holds the limit, and its end says which. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentJson, PsItemJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actsIn } from "../support/agent-acts.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { inSession, program } from "../support/run-trees.ts";
import { onTerminalOf } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());
const { enabled, run, ended, said, stop } = actsIn(() => home);

/** Which of the two is seen first differs from run to run. */
const ROUNDS = 2;

test("a run over its disk limit is ended and says so", async () => {
  const files = program(
    '#!/bin/sh\necho started\nif [ -e "$HOME/kept" ]; then echo kept; exec sleep 1000; fi\nsleep 0.5\nfor n in 1 2 3 4; do head -c 900000 /dev/zero > "$HOME/$n"; done\nsleep 1000\n',
  );
  await enabled("fills.disk", files, { resources: { disk: { limit: "1M" } } });
  const started = await run("fills.disk");
  expect(await ended("fills.disk")).toMatchObject({
    status: "crashed",
    reason: expect.stringMatching(
      /^its data folder held .* MiB when Core looked; its limit is 977 KiB; empty \S+\/data by hand$/,
    ),
  });
  expect((await home.cli(["agents", "logs", "fills.disk"])).stdout).toMatch(
    /core: Core ends the run: its data folder held .* MiB when Core looked; its limit is 977 KiB; empty \S+\/data by hand\n/,
  );
  const record = auditRows(home, "agent.run_started").find(({ subject }) => subject === started.run_id);
  expect(record?.metadata["limits"]).toEqual({ "disk:1000000": "brokered" });
  // Run again at once it would end again: nothing of what is in there is Core's to take away.
  const { last_error: said, next_step: next } = await home.json<AgentJson>(["agents", "info", "fills.disk"]);
  expect(said).toContain(`empty ${join(home.folder, "agents/fills.disk/data")} by hand`);
  const data = join(home.folder, "agents/fills.disk/data");
  expect(next).toBe(`empty ${data}, then: opensentience agents run fills.disk`);
  // A build clears the last error, and empties nothing.
  await home.json(["agents", "build", "fills.disk", "--yes"]);
  const rebuilt = await home.json<AgentJson>(["agents", "info", "fills.disk"]);
  expect(rebuilt).toMatchObject({ last_error: null, next_step: next });
  expect(await home.json(["agents", "diff", "fills.disk"])).toMatchObject({ next_step: next });
  const { items } = await home.json<{ items: AgentJson[] }>(["agents", "list"]);
  expect(items.find(({ agent_id: id }) => id === "fills.disk")).toMatchObject({ next_step: next });
  expect((await home.cli(["agents", "info", "fills.disk"])).stdout).toMatch(
    /\n {2}limits +disk 977 KiB \(Core looks and ends the run\)\n/,
  );
});

test("a long end fits the terminal and can still be read; piped it is whole", async () => {
  const runs = ["agents", "ps", "--all"];
  const lines = (await onTerminalOf(home, 80, runs)).trimEnd().split("\n");
  for (const line of lines) expect([...line].length).toBeLessThanOrEqual(80);
  expect(lines.find((line) => line.startsWith("fills.disk"))).toMatch(/ signal SIG\w+ \(its data folder .*…$/);
  const { items } = await home.json<{ items: PsItemJson[] }>(runs);
  const reason = items.find(({ agent_id: id }) => id === "fills.disk")?.reason ?? "none";
  expect((await home.cli(runs)).stdout).toContain(` signal SIGTERM (${reason})`);
});

test("once its data folder is emptied the advised run goes well, and a run is advised again", async () => {
  for (const n of [1, 2, 3, 4]) rmSync(join(home.folder, "agents/fills.disk/data", String(n)), { force: true });
  writeFileSync(join(home.folder, "agents/fills.disk/data/kept"), "");
  await run("fills.disk");
  await said("fills.disk", "kept");
  await stop("fills.disk");
  const { next_step: next } = await home.json<AgentJson>(["agents", "info", "fills.disk"]);
  expect(next).toBe("opensentience agents run fills.disk");
});

test("a run that writes one file over its limit is ended by the kernel and says so", async () => {
  const files = program('#!/bin/sh\necho started\nsleep 0.5\nexec head -c 3000000 /dev/zero > "$HOME/f"\n');
  await enabled("large.file", files, { resources: { disk: { limit: "1M" } } });
  await run("large.file");
  expect(await ended("large.file")).toMatchObject({ reason: expect.stringContaining("a file grew over the limit") });
});

test("a run that takes more memory than it may ends, and says what it had", async () => {
  const text = `#!/usr/bin/env node\nconsole.log("started");\nconst kept = [];\nsetTimeout(() => { for (;;) kept.push(new Array(1e6).fill(Math.random())); }, 500);\n`;
  await enabled("takes.memory", program(text), { resources: { memory: { limit: "200Mi" } } });
  await run("takes.memory");
  const { reason, status } = await ended("takes.memory");
  expect(status).toBe("crashed");
  // Whoever grows faster than Core looks meets the kernel's limit.
  expect(reason).toMatch(
    /^its memory had grown to .* MiB when Core looked; its limit is 200 MiB$|its memory was limited to 200 MiB|over its limit of memory, 200 MiB/,
  );
});

/** Whether this machine lets Core hold the memory of a whole run. */
async function memoryIsHeld(): Promise<boolean> {
  const { checks } = await home.json<{ checks: { name: string; message: string }[] }>(["doctor"], { codes: [0, 1] });
  return checks.find(({ name }) => name === "limits")?.message.includes("memory: held") === true;
}

const SHARES_MEMORY = `#!/usr/bin/env python3
import os, time
kept = bytearray(b"x") * (100 * 2**20)
for n in range(3):
  if os.fork() == 0: time.sleep(1000)
print("shared", flush=True)
time.sleep(1.5)
print("stayed", flush=True)
time.sleep(1000)
`;

test("memory that the processes of a run share is counted once where the kernel holds it", async () => {
  await enabled("shares.memory", program(SHARES_MEMORY), { resources: { memory: { limit: "200Mi" } } });
  // Elsewhere Core's look is the limit, and it counts each process.
  if (!(await memoryIsHeld())) return;
  await run("shares.memory");
  await said("shares.memory", "stayed");
  const { items } = await home.json<{ items: PsItemJson[] }>(["agents", "ps"]);
  const shown = items.find(({ agent_id: id }) => id === "shares.memory");
  expect(shown).toMatchObject({ status: "running", processes: 4 });
  expect(shown?.memory_bytes).toBeGreaterThan(100 * 2 ** 20);
  expect(shown?.memory_bytes).toBeLessThan(150 * 2 ** 20);
  expect(await stop("shares.memory")).toMatchObject({ status: "stopped", reason: "stopped" });
});

const GROWS_IN_A_SESSION = inSession(`time.sleep(0.7)
kept = []
while True: kept.append(bytearray(b"x" * 2**20))
`);

test("a run that the kernel ends for its memory says so, whether its session or its tree is seen to end first", async () => {
  await enabled("grows.on", GROWS_IN_A_SESSION, { resources: { memory: { limit: "64Mi" } } });
  if (!(await memoryIsHeld())) return;
  const reasons: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = await run("grows.on");
    const over = await ended("grows.on");
    expect(over).toMatchObject({ run_id: started.run_id, status: "crashed", session_id: expect.any(String) });
    reasons.push(`${over.signal}: ${over.reason}`);
  }
  const { stdout: log } = await home.cli(["agents", "logs", "grows.on"]);
  expect(log).toContain("core: the kernel ended what was over its limit of memory, 64 MiB\n");
  for (const reason of reasons) {
    expect(reason).toMatch(
      /^SIGKILL: killed by SIGKILL that Core did not send \(the kernel ended what was over its limit of memory, 64 MiB\)/,
    );
  }
});

test("a fork bomb gets no more processes than it may, and its end says so", async () => {
  const held = await newHome({ settings: { "limits.processes": 40 } });
  const own = actsIn(() => held);
  const text =
    "#!/usr/bin/env python3\nimport os, sys, time\nprint('started', flush=True)\nn = 0\ntry:\n  while n < 400:\n    if os.fork() == 0: time.sleep(1000)\n    n += 1\nexcept OSError: print('refused at', n, flush=True); time.sleep(1); sys.exit(3)\nprint('all of them', flush=True); time.sleep(1000)\n";
  try {
    await own.enabled("forks.on", program(text));
    const started = await own.run("forks.on");
    const record = auditRows(held, "agent.run_started").filter(({ subject }) => subject === started.run_id);
    const how = (record.at(-1)?.metadata["limits"] as Record<string, string> | undefined)?.["processes:40"];
    const { checks } = await held.json<{ checks: { name: string; message: string }[] }>(["doctor"], { codes: [0, 1] });
    const said = checks.find(({ name }) => name === "limits")?.message ?? "";
    expect(started.limits).toEqual({ "processes:40": how });
    const heldText = how === "enforced" ? "held by the kernel" : "only recorded";
    expect((await held.cli(["agents", "info", "forks.on"])).stdout).toMatch(
      new RegExp(`\\n  limits +processes 40 \\(${heldText}\\)\\n`),
    );
    if (how === "advisory") {
      // Root on a machine that lets it make no control group.
      expect(said).toContain("processes: only recorded");
      return;
    }
    expect([how, said]).toEqual(["enforced", expect.stringContaining("processes: held by the kernel")]);
    expect(await own.ended("forks.on")).toMatchObject({ status: "crashed", exit_code: 3 });
    const refusal = (await own.logs("forks.on")).find((line) => line.startsWith("refused at"));
    expect(Number(refusal?.slice(11))).toBeLessThan(40);
    // Groups count every fork that was refused; a resource limit tells nobody but the process that asked.
    const { reason } = await own.ended("forks.on");
    if (said.includes("memory: held")) expect(reason).toContain("it wanted more than the 40 processes it may have");
    else expect(reason).toContain("its processes and threads were limited to 40");
  } finally {
    await held.dispose();
  }
});

test("an approval that would only be advisory is refused where the operator requires more", async () => {
  const strict = await newHome({ settings: { "sandbox.require_enforced": true } });
  const own = actsIn(() => strict);
  try {
    await own.enabled("asks.events", {}, { permissions: ["event:publish:x", "filesystem:read:~/**"] });
    expect(await strict.fails(["agents", "run", "asks.events"])).toMatchObject({
      code: 4,
      error: { code: "sandbox.not_enforced", details: { permissions: ["event:publish:x"] } },
    });
    await strict.json(["agents", "enable", "asks.events", "--approve", "filesystem:read:~/**"]);
    expect(await own.run("asks.events")).toMatchObject({ isolation: "sandbox" });
  } finally {
    await strict.dispose();
  }
});
