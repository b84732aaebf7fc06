import { CoreError } from "@opensentience/protocol";
import { eventPage } from "../audit-view.ts";
import { type CommandContext, required } from "../context.ts";

/** Asks (or needs --yes): what is erased cannot be brought back. Returns 1 when the answer was no. */
export async function run(context: CommandContext): Promise<number> {
  const { options, output } = context;
  const text = required(context, 0);
  const reason = options.text("reason");
  if (!/^[1-9]\d{0,14}$/.test(text) || reason === undefined) {
    throw new CoreError("usage.invalid", "SEQ must be the number of an event, as audit list shows it", {
      nextStep: "opensentience help audit erase",
    });
  }
  if (!options.flag("yes")) {
    const prompt = await context.prompt();
    if (prompt === undefined) {
      throw new CoreError(
        "usage.confirmation_required",
        `erasing the metadata of event ${text} cannot be undone; confirm it with --yes`,
        { details: { flag: "--yes" }, nextStep: "opensentience help audit erase" },
      );
    }
    if (!(await prompt.confirm(`Erase the metadata of event ${text}?`))) {
      output.note("nothing was erased");
      return 1;
    }
  }
  const client = await context.connect();
  const event = await client.call("erase_audit", { body: { seq: Number(text), reason } });
  output.result(event, (style) => eventPage(style, event));
  return 0;
}
