import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";
import { sayWhatWasLost } from "../lost-runs.ts";
import { restartLines, runRows } from "../run-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const all = context.options.flag("all") ? true : undefined;
  const client = await context.connect();
  const runs = await allPages((cursor) => client.call("list_runs", { query: { all, cursor, limit: 500 } }));
  context.output.result(runs, (style) =>
    runs.items.length > 0
      ? [runRows(style, runs.items), ...restartLines(runs.items)].join("\n")
      : all === true
        ? "no runs"
        : "no live runs",
  );
  if (all === undefined) await sayWhatWasLost(context, client);
}
