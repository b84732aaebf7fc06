import type { CommandContext } from "../context.ts";
import { stopCore } from "../stop-core.ts";

/** Idempotent: stopping a Core that does not run is no failure. */
export async function run(context: CommandContext): Promise<void> {
  const before = await stopCore(context);
  const { home, controlSocket } = context.paths;
  const result = {
    running: false,
    was_running: before !== undefined,
    pid: before?.pid ?? null,
    home,
    socket_path: controlSocket,
  };
  context.output.result(result, () =>
    before === undefined ? "Core is not running" : `Core is stopped (pid ${before.pid ?? "unknown"})`,
  );
}
