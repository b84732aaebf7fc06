import { constants, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { namespace, newMarker, PATH } from "../../../../tests/support/boxes.ts";
import { spawnProcess, whenExited } from "../host/child-process.ts";
import { listProcesses } from "../host/process-tree.ts";
import { boxFlags } from "./bubblewrap.ts";
import { shimVector } from "./boxed-process.ts";
import {
  startBoxed,
  UNCONFINED,
  type BoxedProcess,
  type BoxOptions,
  type BoxPolicy,
  type Unconfined,
} from "./sandbox.ts";
import { listenerArguments, receiveListener, WAY_OUT_PORT } from "./way-out.ts";

const folder = mkdtempSync(join(tmpdir(), "os-way-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A shim that waits in an open box without a network, with what it prints. */
function startShim(listeners: string[], argv: string[], env: Record<string, string> = {}) {
  const box = [namespace.bwrapPath ?? "", ...boxFlags(folder), "--unshare-net", "--"];
  const child = spawnProcess([...box, ...shimVector({}, listeners), ...argv], {
    cwd: "/",
    env: { PATH, ...env },
    stdio: ["ignore", "pipe", "pipe", "pipe", "ignore", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout?.on("data", (chunk) => (output += String(chunk)));
  const closed = new Promise((resolve) => child.stdout?.once("close", resolve));
  const go = (): void => void (child.stdio[3] as NodeJS.WritableStream).write("go\n");
  return { child, go, exited: whenExited(child), output: () => closed.then(() => output) };
}

describe.each([
  ["Perl", "/bin/false", "/usr/bin/perl"],
  ["Node, where Perl fails,", process.execPath, "/bin/false"],
])("the socket that %s makes", (_name, node, perl) => {
  test("listens inside only, and answers whoever connects there", async () => {
    const bash = `exec 9<>/dev/tcp/127.0.0.1/${WAY_OUT_PORT} && cat <&9`;
    const shim = startShim(listenerArguments(node, perl), ["/bin/bash", "-c", bash]);
    const listener: Server = await receiveListener(shim.child, 10_000);
    onTestFinished(() => void listener.close());
    listener.on("connection", (socket) => socket.end(`from ${socket.remoteAddress}`));
    expect(listener.address()).toEqual({ address: "127.0.0.1", family: "IPv4", port: WAY_OUT_PORT });
    const outside = connect({ port: WAY_OUT_PORT, host: "127.0.0.1" });
    await new Promise((refused) => outside.once("error", refused));
    expect(shim.child.connected).toBe(false);
    shim.go();
    expect(await shim.output()).toBe("from 127.0.0.1");
  });

  test("never makes Core wait for a connection", async () => {
    const shim = startShim(listenerArguments(node, perl), ["/bin/true"]);
    const listener: Server = await receiveListener(shim.child, 10_000);
    const { fd } = Reflect.get(listener, "_handle") as { fd: number };
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    expect(Number.parseInt(flags ?? "", 8) & constants.O_NONBLOCK).toBe(constants.O_NONBLOCK);
    listener.close();
    shim.go();
    await shim.exited;
  });

  test("the listener runs before the agent and leaves it nothing", async () => {
    const planted = join(folder, "planted.cjs");
    const module = join(folder, "Planted.pm");
    writeFileSync(planted, `require("node:fs").writeFileSync(${JSON.stringify(join(folder, "ran"))}, "")`);
    writeFileSync(module, `open(F, ">", "${join(folder, "ran")}"); 1;`);
    const hostile = { NODE_OPTIONS: `--require=${planted}`, PERL5OPT: `-I${folder} -MPlanted` };
    const show =
      'env; for fd in /proc/$$/fd/*; do [ -L "$fd" ] && echo "fd ${fd##*/}"; done; ps -o comm= 2>/dev/null; true';
    const shim = startShim(listenerArguments(node, perl), ["/bin/sh", "-c", show], hostile);
    (await receiveListener(shim.child, 10_000)).close();
    expect(readdirSync(folder)).not.toContain("ran");
    shim.go();
    const lines = (await shim.output()).split("\n");
    expect(lines).toContain(`NODE_OPTIONS=${hostile.NODE_OPTIONS}`);
    expect(lines.filter((line) => line.includes("CHANNEL"))).toEqual([]);
    // Higher ones are those that this test runner inherited itself.
    expect(lines.filter((line) => /^fd [3-9]$/.test(line))).toEqual([]);
    expect(lines.filter((line) => /^(?:perl|node)$/.test(line))).toEqual([]);
    expect(await shim.exited).toEqual({ exitCode: 0, signal: null });
  });
});

test("a box without a listener does not start", async () => {
  const shim = startShim(listenerArguments("/bin/false", "/bin/false"), ["/bin/echo", "ran"]);
  await expect(receiveListener(shim.child, 10_000)).rejects.toThrow("ended before");
  expect([await shim.exited, await shim.output()]).toEqual([{ exitCode: 126, signal: null }, ""]);
});

const POLICY: BoxPolicy = {
  granted: [],
  hidden: [],
  own: [],
  tools: [process.execPath],
  network: "none",
  limits: {},
};
const started = (policy: BoxPolicy | Unconfined, wayOut?: BoxOptions["wayOut"]): Promise<BoxedProcess> =>
  startBoxed({
    probe: namespace,
    argv: ["/bin/echo", "ran"],
    cwd: "/",
    env: { PATH },
    pipeFolder: folder,
    marker: newMarker(),
    policy,
    ...(wayOut === undefined ? {} : { wayOut }),
  });

test("a way out that is not taken leaves no box", async () => {
  const refused = started(POLICY, () => Promise.reject(new Error("no room")));
  await expect(refused).rejects.toMatchObject({ code: "launcher.start_failed" });
  await expect
    .poll(() => listProcesses().filter(({ ppid, name }) => ppid === process.pid && name === "bwrap"))
    .toEqual([]);
});

test("there is no way out of a box whose network is open", async () => {
  for (const policy of [{ ...POLICY, network: "open" as const }, UNCONFINED])
    await expect(started(policy, () => Promise.resolve())).rejects.toMatchObject({ code: "core.internal" });
});

test("nothing of the way out is left in the box, and its end waits for nothing", async () => {
  let listener: Server | undefined;
  const box = await started(POLICY, (one) => Promise.resolve(void (listener = one)));
  // Who made it may still be on its way out.
  await expect.poll(() => box.usage().processes).toBe(1);
  box.release();
  expect(await box.ended).toEqual({ exitCode: 0, signal: null, killedAfterTimeout: false, leaked: [] });
  listener?.close();
});
