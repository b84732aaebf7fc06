import type { PsItemJson } from "@opensentience/protocol";
import { CoreError } from "@opensentience/protocol";
import { type CommandContext, required } from "../context.ts";
import { untilCoreStops } from "../following.ts";
import { shortTime } from "../format.ts";
import { MAX_TAIL } from "../options.ts";
import { endOf, logLine } from "../run-view.ts";

/** More runs than this are not counted: the hint is one line, and not worth another request. */
const MOST_COUNTED = 500;

/** Records as they come; with --follow until Ctrl-C, or until the run ends and no other follows, or Core ends. */
export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const agentId = required(context, 0);
  const follow = options.flag("follow");
  const query = {
    tail: options.count("tail", 0, MAX_TAIL),
    since: options.time("since"),
    run: options.text("run"),
    follow: follow ? true : undefined,
    build: options.flag("build") ? ("true" as const) : undefined,
  };
  const client = await context.connect();
  const askedAt = Date.now();
  if (!output.json && !output.quiet && query.run === undefined && query.build === undefined) {
    const { items } = await client.call("list_runs", {
      query: { agent: agentId, all: true, limit: MOST_COUNTED },
    });
    if (items.length > 1)
      output.note(
        `(the newest of ${items.length}${items.length === MOST_COUNTED ? " or more" : ""} runs; --run RUN for another)`,
      );
  }
  let lines = 0;
  const show = async (): Promise<void> => {
    for await (const record of client.lines("read_logs", { params: { agent_id: agentId }, query })) {
      lines += 1;
      output.record(record, (style) => logLine(style, record));
    }
    if (query.build !== undefined && lines === 0) output.note("no build of it has printed anything that is kept");
    if (follow && !output.json && !output.quiet) await sayTheEnd(context, agentId, query.run, askedAt);
  };
  await (follow ? untilCoreStops(context, show) : show());
}

/** Why nothing more comes. A Core that stopped meanwhile is not started for it. */
async function sayTheEnd(
  context: CommandContext,
  agentId: string,
  runId: string | undefined,
  askedAt: number,
): Promise<void> {
  const ended = await endedRun(context, agentId, runId);
  if (ended === undefined || ended.stopped_at === null) return;
  const wasOver = Date.parse(ended.stopped_at) < askedAt;
  context.output.note(
    wasOver && runId === undefined
      ? `${agentId} is not running; its last run ended ${shortTime(ended.stopped_at)}, ${endOf(ended)}`
      : `run ended: ${ended.reason ?? endOf(ended)}`,
  );
}

async function endedRun(
  context: CommandContext,
  agentId: string,
  runId: string | undefined,
): Promise<PsItemJson | undefined> {
  try {
    const client = await context.connect({ start: false });
    const { items } = await client.call("list_runs", { query: { agent: agentId, all: true, limit: 500 } });
    return runId === undefined ? items[0] : items.find((one) => one.run_id === runId);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
