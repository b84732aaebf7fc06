import { type CommandContext, required } from "../context.ts";
import { logLine } from "../run-view.ts";

/** Records as they come; with --follow until Ctrl-C or until Core ends. */
export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const query = {
    tail: options.count("tail"),
    since: options.time("since"),
    run: options.text("run"),
    follow: options.flag("follow") ? true : undefined,
  };
  const client = await context.connect();
  for await (const record of client.lines("read_logs", { params: { agent_id: required(context, 0) }, query })) {
    output.record(record, (style) => logLine(style, record));
  }
}
