import type { CommandContext } from "../context.ts";
import { helpOn } from "../help.ts";

export async function run(context: CommandContext): Promise<void> {
  const help = helpOn(context.positionals);
  context.output.result(help.json, () => help.text);
}
