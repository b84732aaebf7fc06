import { auditWhy, type AuditEventJson, type PsItemJson, restartNotice } from "@opensentience/protocol";
import type { CommandContext } from "./context.ts";
import type { ControlClient } from "./control-client.ts";
import { counted, oneLine } from "./format.ts";

/** For so long after the runs were closed it is said that Core took them along, in ms. */
const SAID_MS = 600_000;
const MOST_LOOKED_AT = 100;
const MOST_NAMED = 20;
/** So many of an agent's newest events are looked through for what Core decided about its lost run. */
const MOST_EVENTS = 50;
const LOST = "core_lost";

/**
 * A Core that was killed took its runs along: who looks afterwards, or starts Core again, is not to think that there was
 * nothing. Names each lost run until somebody has started its agent by hand, and what comes of it. Says nothing in
 * `--json`, where `agents ps --all` has each run with its reason.
 */
export async function sayWhatWasLost({ output }: CommandContext, client: ControlClient): Promise<void> {
  if (output.json) return;
  const { items } = await client.call("list_runs", { query: { all: true, limit: MOST_LOOKED_AT } });
  const since = Date.now() - SAID_MS;
  const lost = Object.values(Object.groupBy(items, ({ agent_id: id }) => id)).flatMap((runs = []) => {
    const [newest] = runs;
    const run = lostAmong(runs);
    return newest === undefined || run === undefined || Date.parse(run.stopped_at ?? "") < since
      ? []
      : [{ run, newest }];
  });
  if (lost.length === 0) return;
  const named = lost.slice(0, MOST_NAMED);
  const lines = await Promise.all(
    named.map(async (one) => `  ${oneLine(one.run.agent_id)} ${await fateOf(client, one)}`),
  );
  const more = lost.length > MOST_NAMED ? [`  and ${lost.length - MOST_NAMED} more`] : [];
  output.note([`Core was lost, and with it ${counted(lost.length, "run")}:`, ...lines, ...more].join("\n"));
  output.nextStep("opensentience agents ps --all");
}

/** `runs` of one agent, newest first: the one that was lost, if all that came after it is Core's own restarts. */
function lostAmong(runs: readonly PsItemJson[]): PsItemJson | undefined {
  for (const run of runs) {
    if (isLost(run)) return run;
    if (run.restart_count === 0) return undefined;
  }
  return undefined;
}

function isLost({ reason }: PsItemJson): boolean {
  return reason?.startsWith(LOST) === true;
}

async function fateOf(
  client: ControlClient,
  { run, newest }: { run: PsItemJson; newest: PsItemJson },
): Promise<string> {
  if (newest.run_id !== run.run_id)
    return newest.stopped_at === null ? "is started again" : "was started again, and has ended since";
  const notice = restartNotice(run, Date.now());
  if (notice !== null) return notice;
  // Core has noted there why it does not start it again, and what it could not end.
  const [, ...notes] = (run.reason ?? "").split("; ");
  if (notes.length > 0) return oneLine(notes.join("; "));
  const { items } = await client.call("list_audit", { query: { agent: run.agent_id, limit: MOST_EVENTS } });
  return decided(items, run.run_id);
}

/** By what Core recorded: between the moment of a restart and its run there is nothing else to go by. */
function decided(events: readonly AuditEventJson[], runId: string): string {
  const end = events.findIndex((event) => event.event_type === "agent.run_crashed" && event.subject_id === runId);
  if (typeof events[end]?.metadata?.["restart_in_ms"] !== "number") return "is not started again";
  const refused = events.slice(0, end).find((event) => event.event_type === "security.denied");
  if (refused === undefined) return "is being started again";
  return `is not started again: ${oneLine(auditWhy(refused) ?? "it was refused")}`;
}
