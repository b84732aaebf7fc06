#!/usr/bin/env node
// A stand-in for Core that is going to be killed: starts one box, says what it knows, and waits.
// argv: "made" (its bubblewrap stands still at its first instruction) | "held" | "released" | "stopping", "sandbox" | "pid_namespace", the run id, a folder for the pipes, then the program of the box.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { closeInheritedFds } from "../../../packages/core/src/host/child-process.ts";
import { probeSandbox, startBoxed, UNCONFINED } from "../../../packages/core/src/sandbox/sandbox.ts";

const [, , moment, kind, marker, pipeFolder, ...argv] = process.argv;
closeInheritedFds();
const probe = await probeSandbox("/usr/local/bin:/usr/bin:/bin");
const own = [{ path: pipeFolder, source: pipeFolder, write: true, kind: "folder" }];
const sandbox = { granted: [], hidden: [], own, tools: [import.meta.dirname], network: "none", limits: {} };
const policy = kind === "sandbox" ? sandbox : UNCONFINED;
if (moment === "made") {
  const halted = join(pipeFolder, "halted-bwrap");
  writeFileSync(halted, `#!/bin/sh\nkill -STOP $$\nexec ${probe.bwrapPath} "$@"\n`, { mode: 0o700 });
  probe.bwrapPath = halted;
}
const box = await startBoxed({ probe, argv, cwd: "/", env: { PATH: "/usr/bin:/bin" }, pipeFolder, marker, policy });
const say = (event) => process.stdout.write(`${JSON.stringify({ event, pid: box.pid })}\n`);
box.stdout.on("data", (chunk) => {
  if (moment === "stopping") void box.stop(600_000);
  process.stdout.write(`${JSON.stringify({ event: "output", pid: box.pid, text: String(chunk) })}\n`);
});
say("started");
if (moment !== "held") box.release();
