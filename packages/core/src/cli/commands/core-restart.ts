import { CoreError } from "@opensentience/protocol";
import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";
import { statusText } from "../core-view.ts";
import { counted } from "../format.ts";
import type { Output } from "../output.ts";
import { settingFlags } from "../settings-flags.ts";
import { loadConfig } from "../../host/config.ts";
import { stopCore } from "../stop-core.ts";

/** Settings that no Core could start with are found before anything is stopped. */
export async function run(context: CommandContext): Promise<void> {
  await checkSettings(context);
  const ran = await runningAgents(context);
  await stopCore(context);
  const status = await (await context.connect({ start: true })).call("get_status");
  context.output.result(
    { ...status, not_started_again: ran },
    (style) => `Core is restarted\n${statusText(style, status)}`,
  );
  sayWhatRan(context.output, ran);
}

/** Those that run, and those that were to be started again; a clean stop ends both, and no Core starts them by itself. */
async function runningAgents(context: CommandContext): Promise<string[]> {
  try {
    const client = await context.connect({ start: false });
    const { items } = await allPages((cursor) => client.call("list_runs", { query: { cursor, limit: 500 } }));
    return [...new Set(items.map((run) => run.agent_id))];
  } catch (error) {
    // Not running, or without its database: then nothing runs that it could name.
    if (error instanceof CoreError) return [];
    throw error;
  }
}

function sayWhatRan(output: Output, ran: readonly string[]): void {
  if (ran.length === 0) return;
  output.note(
    `${counted(ran.length, "agent")} ran and ${ran.length === 1 ? "is" : "are"} not started again; to do so:`,
  );
  for (const agentId of ran) output.note(`  opensentience agents run ${agentId}`);
  output.note("  (with its arguments behind --, where it had some)");
}

async function checkSettings(context: CommandContext): Promise<void> {
  try {
    await loadConfig(context.paths, settingFlags(context.options.texts("set")));
  } catch (error) {
    context.output.note("nothing was stopped");
    throw error;
  }
}
