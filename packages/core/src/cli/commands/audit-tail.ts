import type { AuditEventJson } from "@opensentience/protocol";
import { eventLine, eventRows } from "../audit-view.ts";
import type { CommandContext } from "../context.ts";

const DEFAULT_TAIL = 20;

/** With -f JSON Lines or one line per event; else one document or one table. */
export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const tail = options.count("tail") ?? DEFAULT_TAIL;
  const client = await context.connect();
  if (options.flag("follow")) {
    for await (const event of client.lines("export_audit", { query: { tail, follow: true } })) {
      output.record(event, (style) => eventLine(style, event));
    }
    return;
  }
  const items: AuditEventJson[] = [];
  for await (const event of client.lines("export_audit", { query: { tail } })) items.push(event);
  output.result({ items, next: null }, (style) => (items.length === 0 ? "no audit events" : eventRows(style, items)));
}
