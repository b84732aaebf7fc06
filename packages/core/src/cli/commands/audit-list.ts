import { auditFilter, eventRows } from "../audit-view.ts";
import type { CommandContext } from "../context.ts";

const DEFAULT_LIMIT = 50;

export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const query = {
    ...auditFilter(options),
    limit: options.count("limit", 1, 500) ?? DEFAULT_LIMIT,
    cursor: options.text("cursor"),
  };
  const client = await context.connect();
  const page = await client.call("list_audit", { query });
  output.result(page, (style) => (page.items.length === 0 ? "no audit events" : eventRows(style, page.items)));
  if (page.next !== null) output.note(`more: repeat the command with --cursor=${page.next}`);
}
