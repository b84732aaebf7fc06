/** Stops Core and waits until its process is gone; used by `core stop` and `core restart`. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { CoreError, type CoreStatusJson } from "@opensentience/protocol";
import { readCoreMark } from "../host/core-mark.ts";
import type { CommandContext } from "./context.ts";
import { counted, duration } from "./format.ts";
import { Interrupted } from "./interrupted.ts";

const POLL_MS = 40;
const SHOW_MS = 250;
const BASE_WAIT_MS = 30_000;
/** For a Core that no longer says how many runs it has to end. */
const LEAVING_WAIT_MS = 60_000;

/** The Core before the stop, or undefined when none was there. `core.stopping` when it is still there at the end of the wait. */
export async function stopCore(context: CommandContext): Promise<{ pid: number | null } | undefined> {
  const found = await findCore(context);
  if (found === undefined) return undefined;
  if (!("config" in found)) {
    await waitUntilGone(context, found.pid, LEAVING_WAIT_MS, "its agents");
    return found;
  }
  const status = found;
  const client = await context.connect({ start: false });
  try {
    await client.call("stop_core");
  } catch (error) {
    // Somebody else stops it as well: what is left is to wait.
    if (!(error instanceof CoreError) || (error.code !== "core.stopping" && error.code !== "core.unreachable"))
      throw error;
  }
  if (status.pid !== null)
    await waitUntilGone(context, status.pid, waitLimitMs(status), counted(status.runs_live ?? 0, "run"));
  return status;
}

/**
 * Core's state; only its pid when it is stopping already and does not answer any more; undefined when there is none.
 * Waits for one that is just starting. `core.unreachable` when it runs and its socket is gone.
 */
async function findCore(context: CommandContext): Promise<CoreStatusJson | { pid: number } | undefined> {
  const deadline = performance.now() + BASE_WAIT_MS;
  for (;;) {
    const mark = readCoreMark(context.paths.coreMark);
    const status = await findStatus(context);
    if (status !== undefined || mark === undefined) return status;
    if (mark.state === "stopping") return { pid: mark.pid };
    // A Core that was running a moment ago may have begun to stop, or ended, between the two looks.
    const now = readCoreMark(context.paths.coreMark);
    if (performance.now() > deadline || (mark.state === "running" && now?.state === "running"))
      throw new CoreError("core.unreachable", `Core (pid ${mark.pid}) is ${mark.state}, but does not answer`, {
        details: { pid: mark.pid },
        nextStep: `kill ${mark.pid}`,
      });
    await delay(POLL_MS);
    if (context.signal.aborted) throw new Interrupted();
  }
}

/** Core's state, or undefined when it is not running; never starts it. */
export async function findStatus(context: CommandContext): Promise<CoreStatusJson | undefined> {
  try {
    return await (await context.connect({ start: false })).call("get_status");
  } catch (error) {
    if (error instanceof CoreError && error.code === "core.unreachable") return undefined;
    throw error;
  }
}

async function waitUntilGone(context: CommandContext, pid: number, limitMs: number, what: string): Promise<void> {
  const progress = context.output.progress();
  const startedAt = performance.now();
  let shownMs = SHOW_MS;
  try {
    for (;;) {
      if (!isAlive(pid)) return;
      const waitedMs = performance.now() - startedAt;
      if (waitedMs > limitMs) break;
      if (waitedMs > shownMs + SHOW_MS) {
        shownMs = waitedMs;
        progress.show("stopping", `Core and its agents, for ${duration(waitedMs)}`);
      }
      await delay(POLL_MS);
      if (context.signal.aborted) throw new Interrupted("the stop goes on in the background");
    }
  } finally {
    progress.end();
  }
  throw new CoreError(
    "core.stopping",
    `Core (pid ${pid}) is still stopping after ${duration(limitMs)}: it ends ${what} one after the other, each within its grace period, and then builds and installs under way`,
    { details: { pid }, nextStep: "opensentience core status" },
  );
}

/** Agents end one after the other, each within its grace period and a little more. */
function waitLimitMs(status: CoreStatusJson): number {
  const grace = status.config.find((setting) => setting.key === "launcher.stop_grace_ms")?.value;
  return BASE_WAIT_MS + (status.runs_live ?? 0) * ((typeof grace === "number" ? grace : 5_000) + 5_000);
}

/** A process that has ended but was not collected by its parent yet (state Z) is gone as far as we care. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return process.platform !== "linux";
  }
}
