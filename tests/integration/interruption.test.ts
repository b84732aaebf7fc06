/** Ctrl-C on long acts: what was under way is cancelled, gone and recorded, and the agent is free for the next act. */
import { existsSync, readdirSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { buildMarker, marked } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following, onTerminal, typeNextStep } from "../support/terminal.ts";

/** A step that forks, ignores SIGTERM and never ends. */
const STUBBORN_BUILD = {
  "build.sh": "trap '' TERM\n(setsid sh -c 'while :; do sleep 1; done' &)\necho building\nwhile :; do sleep 1; done\n",
};
const BUILD = { build: { steps: [{ phase: "compile", argv: ["sh", "build.sh"] }] } };

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

describe("Ctrl-C on a build", () => {
  async function expectCanceled(agentId: string): Promise<void> {
    await eventually(
      () => auditRows(home, "agent.build_failed").some(({ subject }) => subject === agentId),
      "the build to be recorded as failed",
    );
    expect(marked(buildMarker(home, agentId))).toEqual([]);
    const event = auditRows(home, "agent.build_failed").find(({ subject }) => subject === agentId);
    expect(event).toMatchObject({ outcome: "failed", metadata: { code: "build.canceled" } });
    const started = auditRows(home, "agent.build_started").find(({ subject }) => subject === agentId);
    expect(event?.correlation).toBe(started?.correlation);
    expect(await home.json(["agents", "info", agentId])).toMatchObject({
      status: "error",
      build_status: "failed",
      last_error: "the build was canceled",
    });
    // Free for the next act.
    await home.json(["agents", "install", agentId, "--allow-local"]);
  }

  test("in a pipe: the whole tree of the build is gone, exit code 130", async () => {
    await smallAgentAt(home, "stop.build", "installed", BUILD, STUBBORN_BUILD);
    const building = new Following(home, ["agents", "build", "stop.build", "--yes"]);
    await eventually(() => marked(buildMarker(home, "stop.build")).length >= 3, "the build and its daemon");
    expect(await building.interrupt()).toMatchObject({ code: 130, stdout: "" });
    await expectCanceled("stop.build");
  });

  test("on a terminal, while its output is shown live", async () => {
    await smallAgentAt(home, "stop.shown", "installed", BUILD, STUBBORN_BUILD);
    const { code, text } = await onTerminal(
      home,
      ["agents", "build", "stop.shown", "--yes"],
      [{ when: "building", type: "\u0003" }],
    );
    expect(code).toBe(130);
    expect(text).toContain("sh build.sh");
    await expectCanceled("stop.shown");
  });

  test("a closed terminal is a Ctrl-C as well: Core does not build for nobody", async () => {
    await smallAgentAt(home, "stop.killed", "installed", BUILD, STUBBORN_BUILD);
    const building = new Following(home, ["agents", "build", "stop.killed", "--yes"]);
    await eventually(() => marked(buildMarker(home, "stop.killed")).length >= 3, "the build and its daemon");
    await building.kill();
    await expectCanceled("stop.killed");
  });
});

test("Ctrl-C on a run says that what was started runs on", async () => {
  await smallAgentAt(home, "stop.run", "enabled");
  const running = new Following(home, ["agents", "run", "stop.run"]);
  // Core has let it go and waits for its start window to be over.
  await eventually(
    () => auditRows(home, "agent.run_started").some(({ metadata }) => metadata["phase"] === "started"),
    "the start",
  );
  const next = "opensentience agents stop stop.run";
  expect(await running.interrupt()).toEqual({
    code: 130,
    stdout: "",
    stderr: `if stop.run was started, it runs on; to end it: ${next}\n`,
  });
  expect(await home.json(["agents", "info", "stop.run"])).toMatchObject({ status: "running" });
  await typeNextStep(home, next);
  expect(await home.json(["agents", "ps"])).toMatchObject({ items: [] });
});

describe("Ctrl-C on an install", () => {
  let server: Server;
  let port = 0;
  const connections: Socket[] = [];
  beforeAll(async () => {
    // A server that takes the connection and never says a word.
    server = createServer((socket) => connections.push(socket.on("error", () => {})));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });

  test.each([
    [
      "in a pipe",
      async (args: string[]) => {
        const installing = new Following(home, args);
        await eventually(() => connections.length > 0, "git to connect");
        return (await installing.interrupt()).code;
      },
    ],
    [
      "on a terminal",
      async (args: string[]) => {
        const first = (): Promise<void> =>
          eventually(() => connections.length > 0, "git to connect").then(() => undefined);
        return (await onTerminal(home, args, [{ when: "asking the repository", type: "\u0003", first }])).code;
      },
    ],
  ])("%s: git is gone, nothing is left in staging, and it is recorded", async (_where, interrupted) => {
    connections.length = 0;
    const before = auditRows(home, "agent.install_failed").length;
    expect(await interrupted(["agents", "install", `https://127.0.0.1:${port}/silent.git`])).toBe(130);
    await eventually(
      () => auditRows(home, "agent.install_failed").length > before,
      "the install to be recorded as failed",
    );
    expect(auditRows(home, "agent.install_failed").at(-1)).toMatchObject({
      outcome: "failed",
      metadata: { code: "install.canceled" },
    });
    await eventually(
      () => connections.every((socket) => socket.destroyed || socket.readableEnded),
      "git's connection to be closed",
    );
    expect(home.processes().filter(({ command }) => /(^|\/)(git|bwrap)( |$)/.test(command))).toEqual([]);
    const staging = join(home.folder, "agents/.staging");
    await eventually(() => !existsSync(staging) || readdirSync(staging).length === 0, "the staging folder to be empty");
    // The same source can be asked for again at once.
    const { error } = await home.fails(["agents", "install", "https://127.0.0.1:1/silent.git"]);
    expect(error.code).toBe("install.clone_failed");
  });
});
