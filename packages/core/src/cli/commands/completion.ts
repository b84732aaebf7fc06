import { CoreError } from "@opensentience/protocol";
import { completionScript, SHELLS, type Shell } from "../completion.ts";
import { type CommandContext, required } from "../context.ts";

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
