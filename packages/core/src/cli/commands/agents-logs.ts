import { type CommandContext, required } from "../context.ts";
import { untilCoreStops } from "../following.ts";
import { MAX_TAIL } from "../options.ts";
import { logLine } from "../run-view.ts";

/** Records as they come; with --follow until Ctrl-C, or until the run or Core ends. */
export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const params = { agent_id: required(context, 0) };
  const follow = options.flag("follow");
  const query = {
    tail: options.count("tail", 0, MAX_TAIL),
    since: options.time("since"),
    run: options.text("run"),
    follow: follow ? true : undefined,
  };
  const client = await context.connect();
  const show = async (): Promise<void> => {
    for await (const record of client.lines("read_logs", { params, query }))
      output.record(record, (style) => logLine(style, record));
  };
  await (follow ? untilCoreStops(context, show) : show());
}
