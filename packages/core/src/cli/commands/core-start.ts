import type { CommandContext } from "../context.ts";
import { statusText } from "../core-view.ts";
import { settingFlags } from "../settings-flags.ts";
import { findStatus } from "../stop-core.ts";

/** Idempotent: a Core that already runs is shown as it is. */
export async function run(context: CommandContext): Promise<void> {
  settingFlags(context.options.texts("set"));
  const before = await findStatus(context);
  const status = before ?? (await (await context.connect({ start: true })).call("get_status"));
  context.output.result(
    status,
    (style) => `${before === undefined ? "Core is started" : "Core is already running"}\n${statusText(style, status)}`,
  );
}
