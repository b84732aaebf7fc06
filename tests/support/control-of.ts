/** Core's control socket without a process per call: the CLI's own client, for what a test needs but is not about. */
import { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { pathsOf } from "../../packages/core/src/host/paths.ts";
import type { CoreHome } from "./core-home.ts";

/** One caller, whose requests share a correlation id as those of one command do; Core must run already. */
export async function controlOf(home: CoreHome): Promise<ControlClient> {
  const uid = process.geteuid?.() ?? 0;
  const paths = await pathsOf(home.folder, undefined, uid);
  return new ControlClient({ paths, uid, signal: new AbortController().signal });
}
