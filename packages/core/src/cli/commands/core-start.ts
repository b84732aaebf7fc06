import { CoreError } from "@opensentience/protocol";
import { loadConfig } from "../../host/config.ts";
import type { CommandContext } from "../context.ts";
import { statusText } from "../core-view.ts";
import { sayWhatWasLost } from "../lost-runs.ts";
import { settingFlags } from "../settings-flags.ts";
import { findStatus } from "../stop-core.ts";

/** Idempotent: a Core that already runs is shown as it is; only `--set` cannot be meant for it. */
export async function run(context: CommandContext): Promise<void> {
  const settings = context.options.texts("set");
  if (settings.length > 0) await loadConfig(context.paths, settingFlags(settings));
  const before = await findStatus(context);
  if (before !== undefined && settings.length > 0) throw noEffect(settings);
  const status = before ?? (await (await context.connect({ start: true })).call("get_status"));
  context.output.result(
    status,
    (style) => `${before === undefined ? "Core is started" : "Core is already running"}\n${statusText(style, status)}`,
  );
  if (before === undefined) await sayOfLost(context);
}

/** A Core whose database cannot be used is started all the same; its status says what to do, and it knows no runs. */
async function sayOfLost(context: CommandContext): Promise<void> {
  try {
    await sayWhatWasLost(context, await context.connect({ start: false }));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
  }
}

function noEffect(settings: readonly string[]): CoreError {
  const isPlain = settings.every((setting) => /^[\w@%+=:,./~-]+$/.test(setting));
  const flags = isPlain ? settings.map((setting) => ` --set ${setting}`).join("") : "";
  return new CoreError(
    "core.already_running",
    "Core runs already, so --set has no effect; its settings are read at its start",
    {
      nextStep: `opensentience core restart${flags}`,
    },
  );
}
