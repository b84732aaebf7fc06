import type { CommandContext } from "../context.ts";
import { settingFlags } from "../settings-flags.ts";

/** Core in this process until it is stopped. In the background it reports on fd 3 and prints nothing. */
export async function run(context: CommandContext): Promise<number> {
  const { output, paths, options } = context;
  const flags = settingFlags(options.texts("set"));
  const background = options.flag("background");
  const serve = await context.loadServe();
  const onReady = ({ socketPath }: { socketPath: string }): void => {
    if (background) return;
    output.record({ pid: process.pid, socket_path: socketPath, home: paths.home, log_path: paths.coreLog }, (style) =>
      [
        style.paint("bold", "OpenSentience Core is running"),
        style.fields([
          ["socket", socketPath],
          ["home", paths.home],
          ["log", paths.coreLog],
          ["stop", "Ctrl-C here, or: opensentience core stop"],
        ]),
      ].join("\n"),
    );
  };
  return serve({ paths, flags, background, onReady });
}
