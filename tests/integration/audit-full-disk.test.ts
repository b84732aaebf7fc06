/** The audit log on a full disk, with rows of calls that wait in its journal: what verify says of them. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DoctorJson } from "@opensentience/protocol";
import { type CliError, EXAMPLES, eventually, gitRepository, newHome } from "../support/core-home.ts";
import { smallDisk } from "../support/full-disk.ts";

const HELLO = "org.opensentience.examples.hello-tools";
const MEBI = 1024 * 1024;

test("verify says that rows wait in the journal, not that they are gone, and is content when there is room again", async () => {
  // Only a mount has room in a file that is there and none for another page.
  if (process.geteuid?.() !== 0) return;
  const home = await newHome();
  const { url } = await gitRepository("hello-full-disk", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", HELLO, "--yes"]);
  await home.json(["agents", "enable", HELLO, "--all"]);
  expect((await home.cli(["core", "stop"])).code).toBe(0);
  const state = join(home.folder, "state");
  const saved = readdirSync(state).map((name) => [name, readFileSync(join(state, name))] as const);
  rmSync(state, { recursive: true });
  const disk = await smallDisk(state, 4 * MEBI, () => home.corePid());
  try {
    for (const [name, bytes] of saved) writeFileSync(join(state, name), bytes, { mode: 0o600 });
    await home.json(["agents", "run", HELLO]);
    const call = (): Promise<{ code: number }> => home.cli(["tools", "call", `${HELLO}/hello_world`, "--input", "{}"]);
    await eventually(async () => (await call()).code === 0, "a call that succeeds");
    await disk.fill();
    const error = await eventually(async () => {
      await call();
      const { code, stderr } = await home.cli(["audit", "verify", "--json"]);
      return code === 0 ? undefined : (JSON.parse(stderr) as { error: CliError }).error;
    }, "rows to wait in the journal");
    expect(error).toMatchObject({
      code: "audit.unavailable",
      message: expect.stringMatching(
        /^no space left in .*: what is in the audit log fits and nothing is known to be missing, but \d+ events? waits? in state\/audit\.journal/,
      ),
      next_step: "opensentience doctor",
    });
    const { checks } = await home.json<DoctorJson>(["doctor"], { codes: [1] });
    expect(checks.find(({ name }) => name === "audit")).toMatchObject({
      status: "fail",
      message: expect.stringContaining("nothing is known to be missing"),
      next_step: "opensentience audit verify",
    });
    await disk.free();
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  } finally {
    await home.cli(["core", "stop"]);
    await disk.remove();
    await home.dispose();
  }
});
