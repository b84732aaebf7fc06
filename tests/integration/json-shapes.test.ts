/** `--json` of every command in the table: one document (or JSON Lines where that is promised), of the promised shape. */
import {
  agentDetailJson,
  auditEventJson,
  CONTROL_ROUTES,
  coreStatusJson,
  logRecordJson,
} from "@opensentience/protocol";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandName, COMMANDS } from "../../packages/core/src/cli/commands.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following } from "../support/terminal.ts";

const ID = "com.example.shapes";
const TOOLS_ID = "org.opensentience.examples.hello-tools";
const TOOL = `${TOOLS_ID}/hello_world`;

type Schema = { parse: (value: unknown) => unknown };
type Shape = { args: string[]; schema?: Schema; keys?: string[]; lines?: true; codes?: number[] };

/** In an order in which each can succeed. */
const SHAPES: Record<string, Shape> = {
  "core start": { args: [], schema: coreStatusJson },
  "core status": { args: [], schema: coreStatusJson },
  "core restart": { args: [], schema: coreStatusJson.extend({ not_started_again: agentDetailJson.shape.keywords }) },
  "core rotate-token": { args: [], schema: CONTROL_ROUTES.rotate_token.response },
  open: { args: ["--print"], keys: ["opened", "url", "valid_ms"] },
  "agents scan": { args: [], schema: CONTROL_ROUTES.scan.response },
  "agents list": { args: [], schema: CONTROL_ROUTES.list_agents.response },
  "agents search": { args: ["small"], schema: CONTROL_ROUTES.list_agents.response },
  "agents install": { args: [ID, "--allow-local"], schema: agentDetailJson },
  "agents info": { args: [ID], schema: agentDetailJson },
  "agents build": { args: [ID, "--yes"], schema: CONTROL_ROUTES.build_agent.response },
  "agents enable": { args: [ID, "--all"], schema: agentDetailJson },
  "agents diff": { args: [ID], schema: CONTROL_ROUTES.diff_agent.response },
  "agents run": { args: [ID, "--yes"], schema: CONTROL_ROUTES.run_agent.response },
  "agents ps": { args: ["--all"], schema: CONTROL_ROUTES.list_runs.response },
  "agents restart": { args: [ID], schema: CONTROL_ROUTES.restart_agent.response },
  "agents logs": { args: [ID], schema: logRecordJson, lines: true },
  "agents stop": { args: [ID], schema: CONTROL_ROUTES.stop_agent.response },
  "agents update": { args: [ID, "--allow-local"], schema: CONTROL_ROUTES.update_agent.response },
  "agents rollback": { args: [ID], schema: agentDetailJson },
  "agents revoke": { args: [ID], schema: agentDetailJson },
  "audit tail": { args: [], schema: CONTROL_ROUTES.list_audit.response },
  "audit list": { args: [], schema: CONTROL_ROUTES.list_audit.response },
  "audit show": { args: ["EVENT"], schema: auditEventJson },
  "audit verify": { args: [], schema: CONTROL_ROUTES.verify_audit.response },
  "audit checkpoint": { args: [], schema: CONTROL_ROUTES.checkpoint_audit.response },
  "audit export": { args: [], schema: auditEventJson, lines: true },
  "audit erase": { args: ["2", "--reason", "test", "--yes"], schema: auditEventJson },
  doctor: { args: [], schema: CONTROL_ROUTES.check_health.response },
  completion: { args: ["bash"], keys: ["script", "shell"] },
  explain: {
    args: ["enablement.drifted"],
    keys: ["code", "exit_code", "http_status", "kind", "meaning", "what_to_do"],
  },
  help: { args: ["agents", "run"] },
  "agents new": { args: ["DIR"], keys: ["agent_id", "files", "name", "next_step", "path"] },
  "tools list": { args: [], schema: CONTROL_ROUTES.list_tools.response },
  "tools info": { args: [TOOL], schema: CONTROL_ROUTES.get_tool.response },
  "tools call": { args: [TOOL], schema: CONTROL_ROUTES.call_tool.response },
  "protocol test": {
    args: [join(EXAMPLES, "hello-tools"), "--case", "handshake"],
    keys: ["agent_id", "cases", "failed", "not_applicable", "not_run", "passed"],
  },
  "agents remove": { args: [ID, "--yes"], schema: CONTROL_ROUTES.remove_agent.response },
  "core stop": { args: [], keys: ["home", "pid", "running", "socket_path", "was_running"] },
};

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await smallAgentAt(home, ID, "installed");
  // A second install leaves the first as what a rollback goes back to.
  await home.json(["agents", "install", ID, "--allow-local"]);
});
afterAll(() => home.dispose());

/** Late, so that nothing before it meets a second agent. */
async function runHelloTools(): Promise<void> {
  const repository = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", repository.url, "--allow-local"]);
  await home.json(["agents", "build", TOOLS_ID, "--yes"]);
  await home.json(["agents", "enable", TOOLS_ID, "--all"]);
  await home.json(["agents", "run", TOOLS_ID]);
  const isThere = async (): Promise<boolean> =>
    (await home.json<{ items: unknown[] }>(["tools", "list"])).items.length === 5;
  await eventually(isThere, "the tools");
}

test("no command is left out", () => {
  const all = COMMANDS.map((command) => commandName(command));
  expect([...Object.keys(SHAPES), "serve"].sort()).toEqual(all.sort());
});

describe("--json of", () => {
  test.each(Object.entries(SHAPES))("%s", async (name, { args, schema, keys, lines }) => {
    const event = async (): Promise<string> =>
      (await home.json<{ items: { event_id: string }[] }>(["audit", "list", "--limit", "1"])).items[0]?.event_id ?? "";
    const own = args[0] === "EVENT" ? [await event()] : args[0] === "DIR" ? [join(home.projects, "new")] : args;
    if (name === "tools list") await runHelloTools();
    const command = [...name.split(" "), ...own];
    const documents = lines === true ? await home.jsonLines(command) : [await home.json(command)];
    expect(documents.length).toBeGreaterThan(0);
    for (const document of documents) {
      // Nothing of it may be lost: what the schema keeps is all there is.
      if (schema !== undefined) expect(schema.parse(document)).toEqual(document);
      if (keys !== undefined) expect(Object.keys(document as object).sort()).toEqual(keys);
      expect(document).toBeTypeOf("object");
    }
  });

  test("serve, which goes on until Ctrl-C", async () => {
    const following = new Following(home, ["serve", "--json"]);
    const [line = ""] = await following.until(/socket_path/);
    expect(JSON.parse(line)).toMatchObject({ pid: await home.corePid(), home: home.folder });
    expect(await following.interrupt()).toMatchObject({ code: 0, stderr: "" });
  });

  test("--version, and of help without a command", async () => {
    expect(await home.json(["--version"])).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(await home.json(["--help"])).toBeTypeOf("object");
  });
});

test("empty lists are empty lists", async () => {
  const empty = await newHome();
  const nothing = { items: [], next: null };
  for (const args of [
    ["agents", "list"],
    ["agents", "search", "x"],
    ["agents", "ps"],
    ["agents", "ps", "--all"],
  ])
    expect(await empty.json(args)).toEqual(nothing);
  expect(await empty.json(["audit", "list", "--type", "agent.enabled"])).toEqual(nothing);
  expect(await empty.jsonLines(["audit", "export", "--type", "agent.enabled"])).toEqual([]);
  await empty.dispose();
});

test("text for people never mixes with it: a pipe gets no colours, no progress and no questions", async () => {
  const listed = await home.cli(["agents", "list"]);
  expect(listed.stdout).toContain(ID);
  expect(`${listed.stdout}${listed.stderr}`).not.toContain("\u001b");
  await home.json(["agents", "install", ID, "--allow-local"]);
  const built = await home.cli(["agents", "build", ID, "--yes"]);
  expect([built.code, built.stdout.includes("\u001b"), built.stderr.includes("\r")]).toEqual([0, false, false]);
});
