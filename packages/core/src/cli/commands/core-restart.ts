import type { CommandContext } from "../context.ts";
import { statusText } from "../core-view.ts";
import { settingFlags } from "../settings-flags.ts";
import { loadConfig } from "../../host/config.ts";
import { stopCore } from "../stop-core.ts";

/** Settings that no Core could start with are found before anything is stopped. */
export async function run(context: CommandContext): Promise<void> {
  await checkSettings(context);
  await stopCore(context);
  const status = await (await context.connect({ start: true })).call("get_status");
  context.output.result(status, (style) => `Core is restarted\n${statusText(style, status)}`);
}

async function checkSettings(context: CommandContext): Promise<void> {
  try {
    await loadConfig(context.paths, settingFlags(context.options.texts("set")));
  } catch (error) {
    context.output.note("nothing was stopped");
    throw error;
  }
}
