import { sayIfUnknown } from "../agent-id.ts";
import { auditFilter, eventRows } from "../audit-view.ts";
import type { CommandContext } from "../context.ts";
import type { ControlClient } from "../control-client.ts";

const DEFAULT_LIMIT = 50;

/** Events outlast the agent that they are about. */
async function isOnRecord(client: ControlClient, agent: string): Promise<boolean> {
  return (await client.call("list_audit", { query: { agent, limit: 1 } })).items.length > 0;
}

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
  const { agent } = query;
  if (page.items.length === 0 && agent !== undefined && !(await isOnRecord(client, agent)))
    await sayIfUnknown(context, client, agent);
  if (page.next !== null) output.note(`more: repeat the command with --cursor=${page.next}`);
}
