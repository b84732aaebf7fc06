/** The fetch phase of a build: code that nobody approved, with a network. It reaches what it may, and no neighbour. */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { CONTROL_ROUTES, type DoctorJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
/** What reached a listener that nobody named. */
const reached: string[] = [];
const servers: Server[] = [];
let registry: number;
let neighbour: number;
let neighbour6: number;

beforeAll(async () => {
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
  registry = await listen("127.0.0.1", (name) => name);
  servers.at(-1)?.on("connection", (socket) => socket.on("error", () => {}).once("data", () => socket.end(ok)));
  neighbour = await listen("0.0.0.0", (name) => reached.push(name));
  neighbour6 = await listen("::1", (name) => reached.push(name));
  home = await newHome({ settings: { "build.hosts": [`127.0.0.1:${registry}`] } });
});
afterAll(async () => {
  for (const server of servers) server.close();
  await home.dispose();
});

async function listen(host: string, onConnection: (name: string) => unknown): Promise<number> {
  const server = createServer((socket) => onConnection(`${host} from ${socket.remoteAddress}`));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

const fetching = (script: string): [Record<string, unknown>, Record<string, { text: string; mode: number }>] => [
  { build: { steps: [{ phase: "fetch", argv: ["./fetch.sh"] }] } },
  { "fetch.sh": { text: `#!/bin/sh\n${script}\n`, mode: 0o755 } },
];
const tried = (name: string, command: string): string =>
  `if ${command} >/dev/null 2>&1; then echo "got ${name}"; else echo "held ${name}"; fi >> results`;

test("a hostile fetch phase reaches nothing of this machine or its networks", async () => {
  const id = "hostile.fetch";
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
  await home.json(["core", "start"]);
  const status = await home.json<{ web_url: string }>(["core", "status"]);
  const page = new URL(status.web_url).port;
  const asked = (url: string, options = ""): string => `curl -f -s -m 4 ${options} ${url}`;
  const direct = (url: string): string => asked(url, "--noproxy '*'");
  const through = (url: string): string => asked(url, "--noproxy ''");
  const attempts = [
    tried("this machine, past the proxy", direct(`http://127.0.0.1:${neighbour}/`)),
    tried("its address, past the proxy", direct(`http://${own}:${neighbour}/`)),
    tried("the registry, past the proxy", direct(`http://127.0.0.1:${registry}/`)),
    tried("this machine", through(`http://127.0.0.1:${neighbour}/`)),
    tried("this machine by name", through(`http://localhost:${neighbour}/`)),
    tried("the registry by another name", through(`http://localhost:${registry}/`)),
    tried("this machine in another spelling", through(`http://0x7f000001:${neighbour}/`)),
    tried("this machine as nothing", through(`http://0.0.0.0:${neighbour}/`)),
    tried("this machine by its address", through(`http://${own}:${neighbour}/`)),
    tried("this machine by IPv6", through(`"http://[::1]:${neighbour6}/"`)),
    tried("this machine, mapped", through(`"http://[::ffff:127.0.0.1]:${neighbour}/"`)),
    tried("a tunnel to this machine", asked(`http://127.0.0.1:${neighbour}/`, "--noproxy '' -p")),
    tried("keys of a cloud machine", through("http://169.254.169.254/")),
    tried("a private network", through("http://10.0.0.1/")),
    tried("another private network", through("http://192.168.0.1/")),
    tried("Core's page", through(`http://127.0.0.1:${page}/healthz`)),
    tried("the control socket", `curl -f -s -m 4 --unix-socket ${home.folder}/run/core.sock http://x/api/v1/status`),
    tried(
      "a name server",
      `perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Proto=>"udp",PeerAddr=>"8.8.8.8:53")->send("x")||die'`,
    ),
    tried("a name", "getent hosts example.com"),
  ];
  const script = [tried("the registry", through(`http://127.0.0.1:${registry}/`)), ...attempts].join("\n");
  await smallAgentAt(home, id, "installed", ...fetching(script));
  await home.json(["agents", "build", id, "--yes"]);
  const results = readFileSync(join(home.sourceOf(id), "results"), "utf8")
    .trim()
    .split("\n");
  expect(results.shift()).toBe("got the registry");
  expect(results).toEqual(attempts.map(() => expect.stringMatching(/^held /)));
  expect(reached).toEqual([]);
  expect(auditRows(home, "agent.built").at(-1)).toMatchObject({
    subject: id,
    metadata: { hosts: [`127.0.0.1:${registry}`] },
  });
  const refused = auditRows(home, "security.egress_refused").filter(({ subject }) => subject === id);
  const hosts = new Set(refused.map(({ metadata }) => metadata["host"]));
  for (const host of ["127.0.0.1", "localhost", own, "[::1]", "169.254.169.254", "10.0.0.1"])
    expect(hosts).toContain(host);
});

test("the plan says what each phase reaches, and a compile phase reaches nothing", async () => {
  const id = "hostile.compile";
  const steps = ["fetch", "compile"].map((phase) => ({ phase, argv: ["./try.sh"] }));
  const text = `#!/bin/sh\n${tried("the registry", `curl -f -s -m 4 -x http://127.0.0.1:61080 http://127.0.0.1:${registry}/`)}\n`;
  await smallAgentAt(home, id, "installed", { build: { steps } }, { "try.sh": { text, mode: 0o755 } });
  const plan = CONTROL_ROUTES.plan_build.response.parse(await home.json(["agents", "build", id, "--plan"]));
  expect(plan.steps.map(({ network, reach }) => [network, reach])).toEqual([
    [true, "public_hosts"],
    [false, "none"],
  ]);
  const { stdout } = await home.cli(["agents", "build", id, "--plan"]);
  expect(stdout).toContain("1. fetch (network: public hosts): ./try.sh");
  await home.json(["agents", "build", id, "--yes"]);
  expect(readFileSync(join(home.sourceOf(id), "results"), "utf8")).toBe("got the registry\nheld the registry\n");
});

test("a build that fails of a refused host says which, and how to name it", async () => {
  const id = "hostile.named";
  await smallAgentAt(home, id, "installed", ...fetching(`exec curl -f -s --noproxy '' http://127.0.0.1:${neighbour}/`));
  const where = `127.0.0.1:${neighbour}`;
  const next = `add "${where}" to build.hosts in config.toml, if builds may reach it`;
  const error = await refuse(home, ["agents", "build", id, "--yes"], { code: "build.failed", exit: 1, next });
  expect(error.details).toMatchObject({ refused: where });
  expect(error.message).toContain(`Core did not connect it to ${where} (egress.private_address)`);
});

test("with a proxy of the operator's the fetch phase has the whole network, and the plan says so", async () => {
  const env = { HTTPS_PROXY: "http://proxy.example:3128" };
  const own = await newHome({ env: { ...env, OPENSENTIENCE_BUILD_PASS_ENV: "HTTPS_PROXY" } });
  const id = "hostile.proxied";
  await smallAgentAt(own, id, "installed", ...fetching("echo $HTTPS_PROXY > results"));
  const { stdout } = await own.cli(["agents", "build", id, "--plan"]);
  expect(stdout).toContain("1. fetch (this machine's whole network): ./fetch.sh");
  await own.json(["agents", "build", id, "--yes"]);
  expect(existsSync(join(own.sourceOf(id), "results"))).toBe(true);
  expect(readFileSync(join(own.sourceOf(id), "results"), "utf8")).toBe("http://proxy.example:3128\n");
  await own.dispose();
});

test("a variable for builds that Core does not have is told, and a build that fails for it leads on", async () => {
  const own = await newHome({ env: { OPENSENTIENCE_BUILD_PASS_ENV: "LANG:CERTIFICATES_OF_HERE" } });
  const id = "hostile.unset";
  await smallAgentAt(own, id, "installed", ...fetching("echo npm error code SELF_SIGNED_CERT_IN_CHAIN >&2; exit 1"));
  const plan = ["agents", "build", id, "--plan"];
  const unset = "build.pass_env: CERTIFICATES_OF_HERE not set where Core was started, so no step gets it";
  expect((await own.cli(plan)).stdout).toContain(unset);
  expect(await own.json(plan)).toMatchObject({ unset_variables: ["CERTIFICATES_OF_HERE"] });
  const { checks } = await own.json<DoctorJson>(["doctor"], { codes: [0, 1] });
  expect(checks.find(({ name }) => name === "build")).toMatchObject({
    status: "warn",
    message: expect.stringContaining("CERTIFICATES_OF_HERE") as unknown,
  });
  const next = "opensentience explain build.failed";
  await refuse(own, ["agents", "build", id, "--yes"], { code: "build.failed", exit: 1, next });
  expect((await own.cli(["explain", "build.failed"])).stdout).toMatch(/build\.pass_env.*Building behind a proxy/);
  await own.dispose();
});
