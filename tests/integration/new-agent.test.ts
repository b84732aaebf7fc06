/** What `agents new` writes: its README and next step are done word by word, and its tool answers. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { BINARY, type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { typeNextStep } from "../support/terminal.ts";

const ID = "local.my-tide";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

/** The indented command lines of a README, block by block. */
function blocks(readme: string): string[][] {
  return [...readme.matchAll(/(?:^ {4}.+\n)+/gm)].map(([block]) =>
    block
      .trimEnd()
      .split("\n")
      .map((line) => line.trim()),
  );
}

/** A line as its reader types it, in a shell; Ada's git knows who she is. */
async function typed(line: string, cwd: string): Promise<string> {
  const identity = { GIT_AUTHOR_NAME: "Ada", GIT_AUTHOR_EMAIL: "ada@example.invalid" };
  const committer = { GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "ada@example.invalid" };
  const command = line.replace(/^opensentience /, `'${BINARY}' `);
  const env = { ...home.env, ...identity, ...committer };
  const result = await runTool(["/bin/sh", "-c", command], { cwd, env, timeoutMs: 60_000, maxBytes: 1024 * 1024 });
  if (result.exitCode !== 0) throw new Error(`${line} ended with ${result.exitCode}: ${result.stderr.toString()}`);
  return result.stdout.toString();
}

test("a new agent installs, runs and answers, in place and from git", { timeout: 180_000 }, async () => {
  const folder = join(home.projects, "my-tide");
  const made = await home.json<{ next_step: string; agent_id: string }>(["agents", "new", folder, "--no-start"]);
  expect(made).toMatchObject({
    agent_id: ID,
    name: "My tide",
    path: folder,
    next_step: `opensentience agents install --dev ${folder}`,
  });
  // No Core was needed for it.
  expect(readdirSync(home.folder)).toEqual([]);
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const [inPlace = [], fromGit = []] = blocks(readme);
  expect([inPlace.length, fromGit.length]).toEqual([5, 8]);
  await typed(made.next_step, home.projects);
  for (const line of inPlace.slice(1)) {
    if (line.includes("tools call")) await isOffered();
    const output = await typed(line, folder);
    if (line.includes("tools call")) expect(JSON.parse(output)).toEqual({ greeting: "Hello, Ada!" });
  }
  await typeNextStep(home, `opensentience agents restart ${ID}`);
  await home.json(["agents", "stop", ID]);
  for (const line of fromGit) await typed(line, folder);
  await isOffered();
  expect(await home.json(["tools", "call", "hello", "--input", '{"name":"Bo"}'])).toMatchObject({
    output: { greeting: "Hello, Bo!" },
  });
});

async function isOffered(agentId = ID): Promise<void> {
  const list = async (): Promise<boolean> =>
    (await home.json<{ items: unknown[] }>(["tools", "list", "--agent", agentId])).items.length === 1;
  await eventually(list, "the new tool");
}

test("the README's agent with a tool is made, run, called and tested as it says", { timeout: 180_000 }, async () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const [, block = ""] = /## An agent with a tool\n\n```console\n([\s\S]*?)```/.exec(readme) ?? [];
  const commands = [...block.matchAll(/^\$ npx (.+)$/gm)].map(([, line = ""]) => line);
  expect(commands).toHaveLength(6);
  const shown = block.slice(block.lastIndexOf("$ ")).split("\n").slice(1).join("\n");
  for (const line of commands) {
    const isCall = line.includes("tools call");
    if (isCall) await isOffered("local.my-agent");
    const output = await typed(line, home.projects);
    if (isCall) expect(output).toBe(shown);
  }
  const cases = ["handshake", "tools.register", "call.success", "unknown.type", "goodbye"].flatMap((one) => [
    "--case",
    one,
  ]);
  const report = await home.json(["protocol", "test", join(home.projects, "my-agent"), ...cases]);
  expect(report).toMatchObject({ agent_id: "local.my-agent", passed: 5, failed: 0, not_applicable: 0 });
});

test("the SDK's page begins with an agent that keeps to the protocol and answers as it says", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/sdk.md"), "utf8");
  const folder = join(home.projects, "halves");
  await home.json(["agents", "new", folder]);
  writeFileSync(join(folder, "main.js"), /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? "");
  const cases = ["handshake", "tools.register", "call.success", "stream.order"].flatMap((one) => ["--case", one]);
  const how = [folder, "--tool", "half", "--input", '{"n":4}', ...cases];
  expect(await home.json(["protocol", "test", ...how])).toMatchObject({ failed: 0, passed: 3, not_applicable: 1 });
  for (const line of [
    `opensentience agents install --dev ${folder}`,
    ...["build", "enable --all", "run"].map(
      (words) => `opensentience agents ${words.replace(/^\w+/, "$& local.halves")}`,
    ),
  ])
    await typed(line, folder);
  await isOffered("local.halves");
  const call = await home.cli(["tools", "call", "local.halves/half", "--input", '{"n":4}', "--stream"]);
  expect([JSON.parse(call.stdout), call.stderr]).toEqual([{ half: 2 }, "working\n"]);
  const zero = await home.json(["tools", "call", "local.halves/half", "--input", '{"n":0}'], { codes: [1] });
  expect(zero).toMatchObject({ error: { code: "half.zero", details: { n: 0 } } });
});

test("the README's drift is refused, shown and mended as it says", { timeout: 120_000 }, async () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const id = "org.opensentience.examples.disk-watch";
  const [, block = ""] = /Now change one line[^`]*```console\n([\s\S]*?)```/.exec(readme) ?? [];
  const { url } = await gitRepository("watch", { copyOf: join(EXAMPLES, "disk-watch") });
  await home.json(["agents", "install", url, "--allow-local"]);
  for (const words of [
    ["build", id, "--yes"],
    ["enable", id, "--all"],
  ])
    await home.json(["agents", ...words]);
  appendFileSync(join(home.sourceOf(id), "bin/disk-watch"), "# behind Core's back\n");
  const shown: string[] = [];
  for (const [, words = ""] of block.matchAll(/^\$ npx opensentience (.+)$/gm)) {
    const { stdout, stderr } = await home.cli(words.split(" "));
    shown.push(`$ npx opensentience ${words}\n${stdout}${stderr}`);
  }
  expect([shown.length, shown.join("")]).toEqual([2, block]);
  await typeNextStep(home, /^next: (.+)$/m.exec(block)?.[1] ?? "");
  await home.json(["agents", "run", id]);
});

test("a next step that holds a blank is quoted for the shell", async () => {
  const folder = join(home.projects, "It's here");
  const made = await home.json<{ next_step: string }>(["agents", "new", folder, "--id", "com.example.here"]);
  await typed(made.next_step, home.projects);
  expect(await home.json(["agents", "info", "here"])).toMatchObject({ install_path: folder, name: "It s here" });
  const people = await home.cli(["agents", "new", join(home.projects, "other"), "--name", "Other"]);
  expect(people).toMatchObject({
    code: 0,
    stderr: `next: opensentience agents install --dev ${join(home.projects, "other")}\n`,
  });
});

test("it writes into no folder that holds something, and refuses an id that Core would refuse", async () => {
  const full = join(home.projects, "full");
  mkdirSync(full);
  writeFileSync(join(full, "precious"), "");
  expect(await home.fails(["agents", "new", full])).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining("is not empty") as unknown },
  });
  expect(readdirSync(full)).toEqual(["precious"]);
  const file = await home.fails(["agents", "new", join(full, "precious")]);
  expect(file).toMatchObject({ code: 2, error: { message: expect.stringContaining("EEXIST") as unknown } });
  for (const args of [
    ["--id", "Tide"],
    ["--id", "tide"],
    ["--id", "a.b\u202e"],
    ["--name", ""],
    ["--name", "a\u001bb"],
  ]) {
    const { code, error } = await home.fails(["agents", "new", join(home.projects, "bad"), ...args]);
    expect([code, error.code, error.message.startsWith(`${args[0]}: `)]).toEqual([2, "usage.invalid", true]);
  }
  expect((await home.fails(["agents", "new", join(home.projects, "---")])).error.message).toMatch(/^--id: /);
});
