/** Boxes for tests: real programs, their output as text, and who of a run is still alive. Ended after each test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach } from "vitest";
import { hasEnvironmentEntry, listProcesses, pollUntil } from "../../packages/core/src/host/process-tree.ts";
import {
  probeSandbox,
  startBoxed,
  UNCONFINED,
  type BoxedProcess,
  type BoxPolicy,
  type SandboxProbe,
  type Unconfined,
} from "../../packages/core/src/sandbox/sandbox.ts";

export const PATH = "/usr/local/bin:/usr/bin:/bin";
export const SOON = { everyMs: 5, timeoutMs: 8_000 };
export const folder = mkdtempSync(join(tmpdir(), "os-box-"));
export const programs = fileURLToPath(new URL("./misbehaving/", import.meta.url));
export const namespace = await probeSandbox(PATH);
export const group: SandboxProbe = { backend: "process_group", reason: "asked for by this test" };
let runs = 0;

/** A run id that no other test uses. */
export function newMarker(): string {
  return `test-${process.pid}-${(runs += 1)}`;
}

const open: BoxedProcess[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((box) => box.kill()));
});
afterAll(() => rmSync(folder, { recursive: true }));

export type TestBox = BoxedProcess & { marker: string; output: () => string };

export async function start(
  probe: SandboxProbe,
  argv: string[],
  options: { read?: boolean; cwd?: string; policy?: BoxPolicy | Unconfined } = {},
): Promise<TestBox> {
  const marker = newMarker();
  const program = argv[0]?.includes("/") ? argv : [join(programs, argv[0] ?? ""), ...argv.slice(1)];
  const box = await startBoxed({
    probe,
    argv: program,
    cwd: options.cwd ?? folder,
    env: { PATH, A: "1" },
    pipeFolder: folder,
    marker,
    policy: options.policy ?? UNCONFINED,
  });
  open.push(box);
  let text = "";
  if (options.read !== false)
    for (const stream of [box.stdout, box.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  return Object.assign(box, { marker, output: () => text });
}

export async function startReleased(probe: SandboxProbe, argv: string[], ready = 1): Promise<TestBox> {
  const box = await start(probe, argv);
  box.release();
  if (ready > 0) await pollUntil(() => box.output().split("ready").length > ready, SOON);
  return box;
}

/** Living processes that were started with the marker of this box. */
export function survivors(marker: string): number[] {
  return listProcesses()
    .filter((info) => info.state !== "Z" && hasEnvironmentEntry(info.pid, `OPENSENTIENCE_RUN_ID=${marker}`))
    .map((info) => info.pid);
}

export async function outputOf(box: TestBox): Promise<string> {
  await pollUntil(() => box.stdout.closed && box.stderr.closed, SOON);
  return box.output();
}
