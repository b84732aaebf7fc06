import type { CommandContext, Serve } from "../context.ts";
import { settingFlags } from "../settings-flags.ts";

/** Core in this process until it is stopped. In the background it reports on fd 3 and prints nothing. */
export async function run(context: CommandContext): Promise<number> {
  const { output, paths, options } = context;
  const flags = settingFlags(options.texts("set"));
  const background = options.flag("background");
  const serve = await context.loadServe();
  const onReady: Parameters<Serve>[0]["onReady"] = ({ socketPath, webUrl, signInUrl }) => {
    if (background) return;
    const where = { pid: process.pid, socket_path: socketPath, home: paths.home, log_path: paths.coreLog };
    output.record({ ...where, web_url: webUrl, sign_in_url: signInUrl }, (style) =>
      [
        style.paint("bold", "OpenSentience Core is running"),
        style.fields([
          ["page", webUrl ?? "switched off by web.enabled"],
          ["sign in", signInUrl === null ? null : `${signInUrl} (once, within a minute; then: opensentience open)`],
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
