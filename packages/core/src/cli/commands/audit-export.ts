import { auditFilter } from "../audit-view.ts";
import type { CommandContext } from "../context.ts";

/** JSON Lines, with and without --json: an export is read by programs. */
export async function run(context: CommandContext): Promise<void> {
  const operation = context.options.text("format") === "cloudevents" ? "export_cloudevents" : "export_audit";
  const query = auditFilter(context.options);
  const client = await context.connect();
  for await (const event of client.lines(operation, { query })) context.output.jsonLine(event);
}
