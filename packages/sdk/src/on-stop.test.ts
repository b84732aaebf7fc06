import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";

const SDK = new URL("./index.ts", import.meta.url).href;

/** A real program that imports the SDK; it prints "ready" when its handler is registered. */
async function startProgram(body: string): Promise<{
  signal: (name: "SIGTERM" | "SIGINT") => void;
  end: Promise<{ exitCode: unknown; output: string; errors: string }>;
}> {
  const source = `import { onStop } from ${JSON.stringify(SDK)}; setInterval(() => {}, 60_000); ${body}; console.log("ready");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {},
  });
  const closed = once(child, "close");
  const errors = text(child.stderr);
  let output = "";
  const isReady = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      if (output.includes("ready\n")) resolve();
    });
  });
  await Promise.race([isReady, closed]);
  const end = closed.then(async ([exitCode]: unknown[]) => ({ exitCode, output, errors: await errors }));
  return { signal: (name) => child.kill(name), end };
}

describe("onStop", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("awaits the handler on %s and ends with 0", async (name) => {
    const program = await startProgram(
      `onStop(async () => { await new Promise(setImmediate); console.log("saved"); })`,
    );
    program.signal(name);
    expect(await program.end).toEqual({ exitCode: 0, output: "ready\nsaved\n", errors: "" });
  });

  test("runs the handler once, however many signals come", async () => {
    const program = await startProgram(
      `onStop(async () => { console.log("begin"); process.kill(process.pid, "SIGTERM"); process.kill(process.pid, "SIGINT"); await new Promise((go) => setTimeout(go, 50)); })`,
    );
    program.signal("SIGTERM");
    expect(await program.end).toMatchObject({ exitCode: 0, output: "ready\nbegin\n" });
  });

  test("ends with 1 when the handler never finishes", async () => {
    const program = await startProgram(`onStop(() => new Promise(() => {}), { timeoutMs: 20 })`);
    program.signal("SIGTERM");
    expect(await program.end).toMatchObject({ exitCode: 1, errors: "the stop handler took longer than 20 ms\n" });
  });

  test("ends with 1 and says why when the handler fails", async () => {
    const program = await startProgram(`onStop(() => { throw new Error("disk full"); })`);
    program.signal("SIGTERM");
    expect(await program.end).toMatchObject({ exitCode: 1, errors: "the stop handler failed: disk full\n" });
  });

  test("refuses a second handler", async () => {
    const program = await startProgram(
      `onStop(() => {}); try { onStop(() => {}); } catch (error) { console.log(error.message); }`,
    );
    program.signal("SIGTERM");
    expect((await program.end).output).toContain("onStop was called before");
  });
});
