import { CoreError } from "@opensentience/protocol";
import { completionScript, type Shell } from "../completion.ts";
import { type CommandContext, required } from "../context.ts";
import { SHELLS } from "../options.ts";

export async function run(context: CommandContext): Promise<void> {
  const shell = required(context, 0);
  if (!(SHELLS as readonly string[]).includes(shell)) {
    throw new CoreError("usage.invalid", `completion is there for ${SHELLS.join(", ")}`, {
      nextStep: "opensentience help completion",
    });
  }
  const script = completionScript(shell as Shell);
  context.output.result({ shell, script }, () => script.trimEnd());
}
