import type { CommandContext } from "./context.ts";
import type { ControlClient } from "./control-client.ts";
import { oneLine } from "./format.ts";

/** For so long after the runs were closed it is said that Core took them along, in ms. */
const SAID_MS = 600_000;
const MOST_LOOKED_AT = 100;
const MOST_NAMED = 5;

/**
 * A Core that was killed took its runs along: who looks afterwards, or starts Core again, is not to think that there was
 * nothing. Says nothing in `--json`, where `agents ps --all` has each run with its reason.
 */
export async function sayWhatWasLost({ output }: CommandContext, client: ControlClient): Promise<void> {
  if (output.json) return;
  const { items } = await client.call("list_runs", { query: { all: true, limit: MOST_LOOKED_AT } });
  const since = Date.now() - SAID_MS;
  const newest = new Map(items.toReversed().map((run) => [run.agent_id, run]));
  const lost = [...newest.values()].filter(
    (run) => run.reason?.startsWith("core_lost") === true && Date.parse(run.stopped_at ?? "") >= since,
  );
  if (lost.length === 0) return;
  const names = lost.slice(0, MOST_NAMED).map((run) => oneLine(run.agent_id));
  const more = lost.length > MOST_NAMED ? ` and ${lost.length - MOST_NAMED} more` : "";
  output.note(`Core was lost, and with it the runs of: ${names.join(", ")}${more}`);
  output.nextStep("opensentience agents ps --all");
}
