import type { CommandContext } from "../context.ts";
import { statusText } from "../core-view.ts";
import { settingFlags } from "../settings-flags.ts";
import { stopCore } from "../stop-core.ts";

export async function run(context: CommandContext): Promise<void> {
  settingFlags(context.options.texts("set"));
  await stopCore(context);
  const status = await (await context.connect({ start: true })).call("get_status");
  context.output.result(status, (style) => `Core is restarted\n${statusText(style, status)}`);
}
