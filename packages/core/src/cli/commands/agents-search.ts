import type { CommandContext } from "../context.ts";
import { showAgents } from "./agents-list.ts";

export async function run(context: CommandContext): Promise<void> {
  await showAgents(context, context.positionals.join(" "), "opensentience agents list");
}
