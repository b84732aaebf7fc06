import type { AuditEventJson } from "@opensentience/protocol";
import { eventRows, followedEvents } from "../audit-view.ts";
import type { CommandContext } from "../context.ts";
import { untilCoreStops } from "../following.ts";
import { MAX_TAIL } from "../options.ts";

const DEFAULT_TAIL = 20;

/** With -f JSON Lines or a table that grows; else one document or one table. */
export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const tail = options.count("tail", 0, MAX_TAIL) ?? DEFAULT_TAIL;
  const client = await context.connect();
  if (options.flag("follow")) {
    const table = followedEvents(output.style);
    if (!output.json) output.line(table.header);
    await untilCoreStops(context, async () => {
      for await (const event of client.lines("export_audit", { query: { tail, follow: true } }))
        output.record(event, () => table.row(event));
    });
    return;
  }
  const items: AuditEventJson[] = [];
  for await (const event of client.lines("export_audit", { query: { tail } })) items.push(event);
  output.result({ items, next: null }, (style) => (items.length === 0 ? "no audit events" : eventRows(style, items)));
}
