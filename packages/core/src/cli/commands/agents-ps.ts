import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";
import type { ControlClient } from "../control-client.ts";
import { oneLine } from "../format.ts";
import { restartLines, runRows } from "../run-view.ts";

/** For so long after the runs were closed it is said that Core took them along, in ms. */
const SAID_MS = 600_000;
const MOST_LOOKED_AT = 100;
const MOST_NAMED = 5;

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
  if (all === undefined && !context.output.json) await sayWhatWasLost(context, client);
}

/** A Core that was killed took its runs along: who looks afterwards is not to think that there was nothing. */
async function sayWhatWasLost(context: CommandContext, client: ControlClient): Promise<void> {
  const { items } = await client.call("list_runs", { query: { all: true, limit: MOST_LOOKED_AT } });
  const since = Date.now() - SAID_MS;
  const newest = new Map(items.toReversed().map((run) => [run.agent_id, run]));
  const lost = [...newest.values()].filter(
    (run) => run.reason?.startsWith("core_lost") === true && Date.parse(run.stopped_at ?? "") >= since,
  );
  if (lost.length === 0) return;
  const names = lost.slice(0, MOST_NAMED).map((run) => oneLine(run.agent_id));
  const more = lost.length > MOST_NAMED ? ` and ${lost.length - MOST_NAMED} more` : "";
  context.output.note(`Core was lost, and with it the runs of: ${names.join(", ")}${more}`);
  context.output.nextStep("opensentience agents ps --all");
}
