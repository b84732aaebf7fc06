/** Stops Core and waits until its process is gone; used by `core stop` and `core restart`. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { CoreError, type CoreStatusJson } from "@opensentience/protocol";
import type { CommandContext } from "./context.ts";
import { duration } from "./format.ts";
import { Interrupted } from "./interrupted.ts";

const POLL_MS = 40;
const BASE_WAIT_MS = 30_000;

/** The state before the stop, or undefined when Core was not running. `core.stopping` when it is still there at the end of the wait. */
export async function stopCore(context: CommandContext): Promise<CoreStatusJson | undefined> {
  const status = await findStatus(context);
  if (status === undefined) return undefined;
  const client = await context.connect({ start: false });
  try {
    await client.call("stop_core");
  } catch (error) {
    // Somebody else stops it as well: what is left is to wait.
    if (!(error instanceof CoreError) || (error.code !== "core.stopping" && error.code !== "core.unreachable"))
      throw error;
  }
  await waitUntilGone(context, status);
  return status;
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

async function waitUntilGone(context: CommandContext, status: CoreStatusJson): Promise<void> {
  if (status.pid === null) return;
  const progress = context.output.progress();
  const startedAt = performance.now();
  const limitMs = waitLimitMs(status);
  try {
    for (;;) {
      if (!isAlive(status.pid)) return;
      const waitedMs = performance.now() - startedAt;
      if (waitedMs > limitMs) break;
      if (waitedMs > 500) progress.show("stopping", `Core and its agents, for ${duration(waitedMs)}`);
      await delay(POLL_MS);
      if (context.signal.aborted) throw new Interrupted();
    }
  } finally {
    progress.end();
  }
  throw new CoreError("core.stopping", `Core (pid ${status.pid}) is still stopping after ${duration(limitMs)}`, {
    details: { pid: status.pid },
    nextStep: "opensentience core status",
  });
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
