import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, onTestFinished } from "vitest";
import { findProgram, runTool, spawnDetached, spawnProcess, whenExited } from "./child-process.ts";
import { hasEnvironmentEntry, listProcesses, pollUntil } from "./process-tree.ts";

const SOON = { everyMs: 5, timeoutMs: 8_000 };
const folder = mkdtempSync(join(tmpdir(), "os-tool-"));
afterAll(() => rmSync(folder, { recursive: true }));

const limits = { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 20_000, maxBytes: 100_000 };
const shell = (script: string, options: Partial<Parameters<typeof runTool>[1]> = {}) =>
  runTool(["/bin/sh", "-c", script], { ...limits, ...options });

function marked(marker: string): number {
  return listProcesses().filter((info) => info.state !== "Z" && hasEnvironmentEntry(info.pid, `MARK=${marker}`)).length;
}

describe("runTool", () => {
  test("answers code, outputs and no flags", async () => {
    const result = await shell("echo out; echo err >&2; exit 3");
    expect(result).toEqual({
      exitCode: 3,
      signal: null,
      stdout: Buffer.from("out\n"),
      stderr: Buffer.from("err\n"),
      timedOut: false,
      aborted: false,
      truncated: false,
    });
  });

  test("answers the signal of a killed tool", async () => {
    expect(await shell("kill -9 $$")).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: false });
  });

  test("gives the child exactly the given environment", async () => {
    const before = process.env["NODE_V8_COVERAGE"];
    process.env["NODE_V8_COVERAGE"] = folder;
    try {
      const result = await runTool(["/usr/bin/env"], { ...limits, env: { A: "1", B: "x y" } });
      expect(result.stdout.toString().trim().split("\n").sort()).toEqual(["A=1", "B=x y"]);
    } finally {
      if (before === undefined) delete process.env["NODE_V8_COVERAGE"];
      else process.env["NODE_V8_COVERAGE"] = before;
    }
  });

  test("passes arguments as they are, without a shell", async () => {
    const words = ["$(id)", "a b", "; exit 9", "*"];
    const result = await runTool(["printf", "%s\\n", ...words], limits);
    expect(result.stdout.toString()).toBe(words.map((word) => `${word}\n`).join(""));
  });

  test("feeds the input, and a tool that does not read it is no error", async () => {
    expect((await runTool(["cat"], { ...limits, input: "hello" })).stdout.toString()).toBe("hello");
    expect(await runTool(["true"], { ...limits, input: "x".repeat(1_000_000) })).toMatchObject({ exitCode: 0 });
    expect((await runTool(["cat"], limits)).stdout.length).toBe(0);
  });

  test("keeps what fits and shows every chunk to the listener", async () => {
    let seen = 0;
    const result = await shell("head -c 3000000 /dev/zero", {
      maxBytes: 1000,
      onStdout: (chunk) => (seen += chunk.length),
    });
    expect(result).toMatchObject({ exitCode: 0, truncated: true });
    expect(result.stdout.length).toBe(1000);
    expect(seen).toBe(3_000_000);
  });

  test("kills the whole group when the time is over", async () => {
    const env = { PATH: "/usr/bin:/bin", MARK: `t${process.pid}` };
    const result = await shell("trap '' TERM; sleep 1000 & sleep 1000", { env, timeoutMs: 150 });
    expect(result).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: true, aborted: false });
    await pollUntil(() => marked(env.MARK) === 0, SOON);
    expect(marked(env.MARK)).toBe(0);
  });

  test("kills the whole group when the caller gives up", async () => {
    const giveUp = new AbortController();
    const onStdout = (): void => giveUp.abort();
    const result = await shell("echo started; sleep 1000 & sleep 1000", { signal: giveUp.signal, onStdout });
    expect(result).toMatchObject({ signal: "SIGKILL", aborted: true, timedOut: false });
    expect(await shell("echo never", { signal: giveUp.signal })).toMatchObject({ aborted: true, exitCode: null });
  });

  test("a grandchild that holds the output does not hold the result", async () => {
    const env = { PATH: "/usr/bin:/bin", MARK: `g${process.pid}` };
    const result = await shell("setsid sleep 1000 & echo done", { env });
    expect(result).toMatchObject({ exitCode: 0, timedOut: false });
    expect(result.stdout.toString()).toBe("done\n");
    for (const info of listProcesses())
      if (hasEnvironmentEntry(info.pid, `MARK=${env.MARK}`)) process.kill(info.pid, "SIGKILL");
  });

  test("tells a missing program from a missing folder", async () => {
    await expect(runTool(["no-such-program-here"], limits)).rejects.toMatchObject({
      code: "core.tool_missing",
      details: { program: "no-such-program-here" },
    });
    await expect(shell("true", { cwd: join(folder, "gone") })).rejects.toMatchObject({
      code: "launcher.folder_missing",
    });
  });
});

describe("findProgram", () => {
  test("finds the first executable regular file, through symlinks", async () => {
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    for (const path of [one, two]) mkdirSync(path);
    writeFileSync(join(one, "tool"), "not executable");
    mkdirSync(join(one, "dir"));
    writeFileSync(join(two, "tool"), "#!/bin/sh\n");
    chmodSync(join(two, "tool"), 0o755);
    symlinkSync(join(two, "tool"), join(two, "link"));
    expect(await findProgram("tool", `${one}:${two}`)).toBe(join(two, "tool"));
    expect(await findProgram("link", two)).toBe(join(two, "link"));
    expect(await findProgram("dir", one)).toBeUndefined();
    expect(await findProgram("absent", `${one}:${two}`)).toBeUndefined();
  });

  test("ignores relative folders of the search path", async () => {
    expect(await findProgram("vitest", "node_modules/.bin::.")).toBeUndefined();
    expect(await findProgram("../bin/sh", "/bin")).toBeUndefined();
    expect(await findProgram("", "/bin")).toBeUndefined();
  });
});

describe("spawnDetached", () => {
  test("gives the program a log and a line back, and lets it outlive the reader", async () => {
    const log = join(folder, "core.log");
    const argv = ["/bin/sh", "-c", "echo hello; echo oops >&2; echo ready >&3; exec 3>&-; exec sleep 1000"];
    const { child, ready } = await spawnDetached(argv, {
      env: { PATH: "/bin" },
      cwd: folder,
      logFd: openSync(log, "a", 0o600),
    });
    expect(Buffer.concat(await ready.toArray()).toString()).toBe("ready\n");
    expect(readFileSync(log, "utf8")).toBe("hello\noops\n");
    expect(child.exitCode).toBeNull();
    const exited = whenExited(child);
    child.kill("SIGKILL");
    expect(await exited).toEqual({ exitCode: null, signal: "SIGKILL" });
  });

  test("says when the program cannot be started", async () => {
    const logFd = openSync(join(folder, "none.log"), "a");
    await expect(spawnDetached(["/no/such/core"], { env: {}, cwd: folder, logFd })).rejects.toMatchObject({
      code: "core.start_failed",
    });
  });
});

test("a child leads a session of its own", async () => {
  const child = spawnProcess(["/bin/sleep", "1000"], { env: {}, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const info = listProcesses().find((found) => found.pid === child.pid);
  expect(info).toMatchObject({ processGroup: child.pid, session: child.pid });
});

test("inherited descriptors are closed, but not the certificates that Node reads meanwhile", async () => {
  for (const name of ["inherited", "kept", "certificates"]) writeFileSync(join(folder, name), name);
  const program = [
    `const { closeInheritedFds } = await import(${JSON.stringify(join(import.meta.dirname, "child-process.ts"))});`,
    `console.log(JSON.stringify(closeInheritedFds([62], ${JSON.stringify(join(folder, "certificates"))})));`,
  ];
  writeFileSync(join(folder, "close.mjs"), program.join("\n"));
  // Node makes the lowest inherited descriptors close-on-exec by itself, so these are high; only bash has them.
  const node = `exec ${process.execPath} ${join(folder, "close.mjs")}`;
  const open = `cd ${folder}; exec 61<inherited 62<kept 63<certificates`;
  const { stdout } = await shell(`exec bash -c '${open}; ${node}'`);
  const closed = JSON.parse(stdout.toString()) as number[];
  expect(closed.filter((fd) => fd > 60 && fd < 64)).toEqual([61]);
});
