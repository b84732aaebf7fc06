import type { CommandContext } from "../context.ts";
import { counted } from "../format.ts";

/** Never prints the token: it stands in a file that only the operator can read. */
export async function run(context: CommandContext): Promise<void> {
  const rotated = await (await context.connect()).call("rotate_token", { body: {} });
  context.output.result(
    rotated,
    () =>
      `The token of the web page is a new one, in ${rotated.token_path}; ${counted(rotated.sessions_ended, "session")} ended`,
  );
  context.output.nextStep("opensentience open");
}
