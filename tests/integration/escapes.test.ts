/**
 * A hostile agent and a hostile build in their real boxes, under a real Core: each tries everything it knows to get at
 * what was not approved, and each attempt must be held. What they leave behind is looked at from outside.
 */
import { createSocket } from "node:dgram";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive, listProcesses, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { actsIn } from "../support/agent-acts.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { MANIFEST, smallAgentAt } from "../support/small-agent.ts";

const PROGRAM = readFileSync(join(import.meta.dirname, "../support/hostile/escapes.py"), "utf8");
/** An odd time to sleep, so that what is left of the agent is found by its arguments. */
const SLEEP = "98761";

let home: CoreHome;
/** What reached a listener outside; must stay empty. */
const reached: string[] = [];
const listeners: Server[] = [];
const datagrams = createSocket("udp4");
const acts = actsIn(() => home);

beforeAll(async () => {
  home = await newHome({ env: { VICTIM_SECRET: "the-victims-own-secret" } });
  datagrams.on("message", () => reached.push("a datagram"));
  await new Promise<void>((resolve) => datagrams.bind(0, resolve));
});
afterAll(async () => {
  datagrams.close();
  for (const listener of listeners) listener.close();
  await home.dispose();
});

async function listen(where: { path: string } | { host: string; port: number }, name: string): Promise<number> {
  const listener = createServer((socket) => {
    reached.push(name);
    socket.destroy();
  });
  listeners.push(listener);
  await new Promise<void>((resolve, reject) => listener.once("error", reject).listen(where, resolve));
  return (listener.address() as AddressInfo).port;
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}

test("a hostile agent gets nothing that was not approved, and nothing of it outlives its stop", async () => {
  const victim = "victim.agent";
  await smallAgentAt(home, victim, "running", { permissions: ["env:read:VICTIM_SECRET"] });
  const victimPid = (await acts.newest(victim)).pid;
  const core = await home.corePid();
  const status = await home.json<{ web_url: string }>(["core", "status"]);
  const { operatorHome } = home;
  for (const name of ["notes", "out", ".ssh"]) mkdirSync(join(operatorHome, name));
  const secrets = {
    "operator file": join(operatorHome, "secret.txt"),
    "operator key": join(operatorHome, ".ssh/id_ed25519"),
    "core database": join(home.folder, "state/core.sqlite3"),
    "audit key": join(home.folder, "state/audit.key"),
    "web token": join(home.folder, "state/web.token"),
    "victim's data": join(home.folder, "agents", victim, "data/private.txt"),
    "victim's source": join(home.folder, "agents", victim, "src", MANIFEST),
    "core log": join(home.folder, "logs/core.log"),
  };
  for (const path of [secrets["operator file"], secrets["operator key"], secrets["victim's data"]])
    writeFileSync(path, "secret");
  writeFileSync(join(operatorHome, "notes/note.txt"), "note");
  const before = Object.values(secrets).map((path) => [path, existsSync(path), statSync(path).ino]);
  const runFolder = join(home.folder, "run/agents");
  const targets = {
    secrets,
    readable: join(operatorHome, "notes"),
    writable: join(operatorHome, "out"),
    victim: victimPid,
    core,
    control_socket: join(home.folder, "run/core.sock"),
    victim_socket: join(runFolder, readdirSync(runFolder)[0] ?? "", "core.sock"),
    abstract: `os-escapes-${process.pid}`,
    page_port: Number(new URL(status.web_url).port),
    tcp_port: await listen({ host: "0.0.0.0", port: 0 }, "TCP"),
    tcp6_port: await listen({ host: "::1", port: 0 }, "TCP by IPv6"),
    udp_port: datagrams.address().port,
    address: ownAddress(),
    disk: [254, 0],
    sleep: SLEEP,
  };
  await listen({ path: `\0${targets.abstract}` }, "an abstract socket");
  const permissions = ["filesystem:read:~/notes/**", "filesystem:write:~/out/**"];
  await acts.enabled(
    "hostile.agent",
    {
      "bin/agent": { text: PROGRAM, mode: 0o755 },
      "bin/targets.json": JSON.stringify(targets),
      "bin/agent.txt": "",
    },
    { permissions },
  );
  const run = await acts.run("hostile.agent");
  expect(run.isolation).toBe("sandbox");
  const done = await eventually(
    async () => (await acts.logs("hostile.agent")).find((line) => line.startsWith("done ")),
    "the hostile agent to have tried everything",
    60_000,
  );
  const lines = await acts.logs("hostile.agent");
  expect(lines.filter((line) => !/^(held|done) /.test(line))).toEqual([]);
  const attempts = lines.filter((line) => line.startsWith("held "));
  expect(attempts).toHaveLength(Number(done.slice(5)));
  expect(attempts.length).toBeGreaterThanOrEqual(100);

  const left = (): number[] => listProcesses().flatMap(({ pid }) => (commandOf(pid).includes(SLEEP) ? [pid] : []));
  expect(left().length).toBeGreaterThan(50);
  await acts.stop("hostile.agent");
  expect(left()).toEqual([]);

  expect(reached).toEqual([]);
  expect(isAlive({ pid: victimPid, startTime: readProcess(victimPid)?.startTime ?? "" })).toBe(true);
  expect(readProcess(core)).toBeDefined();
  expect(Object.values(secrets).map((path) => [path, existsSync(path), statSync(path).ino])).toEqual(before);
  expect(readFileSync(secrets["operator file"], "utf8")).toBe("secret");
  expect(readFileSync(join(operatorHome, "notes/note.txt"), "utf8")).toBe("note");
  expect(readdirSync(operatorHome).sort()).toEqual([".ssh", "notes", "out", "secret.txt"]);

  // Links that it left in its data lead Core nowhere: it runs again, and is removed with its data alone.
  await home.json(["agents", "run", "hostile.agent"]);
  await home.json(["agents", "stop", "hostile.agent"]);
  await home.json(["agents", "remove", "hostile.agent", "--yes"]);
  expect(readFileSync(secrets["operator file"], "utf8")).toBe("secret");
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});

test("a hostile build sees its source and its home, and no network when it compiles", async () => {
  const id = "hostile.build";
  const secret = join(home.operatorHome, "secret.txt");
  const port = await listen({ host: "127.0.0.1", port: 0 }, "a build");
  const tries = [
    `cat ${secret}`,
    `echo x > ${secret}`,
    `ls ${home.operatorHome}`,
    `ls ${join(home.folder, "state")}`,
    `ls ${join(home.folder, "agents", id, "data")}`,
    `echo x > ${join(home.folder, "agents", id, "tracked.json")} && cat ${join(home.folder, "state/core.lock")}`,
    `ls ${join(home.folder, "agents/victim.agent")}`,
    `ls ${join(home.folder, "run")}`,
    "echo x > /usr/bin/escaped",
    "cat /etc/shadow",
    "unshare -U true",
    "mount -t tmpfs x /tmp",
    'test -n "$OPENSENTIENCE_SESSION_TOKEN$VICTIM_SECRET"',
    `exec 9<>/dev/tcp/127.0.0.1/${port}`,
    "getent hosts example.com",
    `kill -9 ${await home.corePid()}`,
  ];
  const script = `#!/bin/bash\nsetsid sleep ${SLEEP} &\n${tries.map((one) => `( ${one} ) >/dev/null 2>&1 && echo ${JSON.stringify(`ESCAPED ${one.replaceAll(/["$]/g, "")}`)}`).join("\n")}\nln -s ${secret} built\necho tried ${tries.length}\n`;
  await smallAgentAt(
    home,
    id,
    "installed",
    { build: { steps: [{ phase: "compile", argv: ["./make.sh"] }] } },
    { "make.sh": { text: script, mode: 0o755 } },
  );
  // The link that it leaves is what the build is refused for.
  const { error } = await home.fails(["agents", "build", id, "--yes"]);
  expect(error.code).toBe("build.link_outside");
  const folder = join(home.folder, "logs", id);
  const log = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("");
  expect(log).toContain(`tried ${tries.length}`);
  expect(log).not.toContain("ESCAPED");
  expect(reached).toEqual([]);
  expect(readFileSync(secret, "utf8")).toBe("secret");
  expect(listProcesses().filter(({ pid }) => commandOf(pid).includes(SLEEP))).toEqual([]);
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
