import { CoreError, type CoreStatusJson } from "@opensentience/protocol";
import { loadConfig } from "../../host/config.ts";
import { readCoreMark } from "../../host/core-mark.ts";
import type { Paths } from "../../host/paths.ts";
import type { CommandContext } from "../context.ts";
import { settingsTable, statusText } from "../core-view.ts";
import { findStatus } from "../stop-core.ts";
import { VERSION } from "../../host/version.ts";

/** Never starts Core; ends with 5 when it does not answer. */
export async function run(context: CommandContext): Promise<number> {
  const status = (await findStatus(context)) ?? (await downStatus(context.paths));
  context.output.result(status, (style) =>
    `${statusText(style, status)}\n\n${settingsTable(style, status.config)}`.trimEnd(),
  );
  if (status.state === "running") return 0;
  context.output.nextStep(status.state === "stopping" ? "opensentience core stop" : "opensentience core start");
  return 5;
}

/** What can be said without an answer of Core, which may be starting or stopping just now; a config file that keeps it from starting is named as the reason. */
async function downStatus(paths: Paths): Promise<CoreStatusJson> {
  let config: CoreStatusJson["config"] = [];
  let degraded: string | null = null;
  try {
    config = (await loadConfig(paths)).list();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    degraded = `${error.message} (${error.code})`;
  }
  const mark = readCoreMark(paths.coreMark);
  if (mark?.state === "running") degraded = `its control socket is gone; end it with: kill ${mark.pid}`;
  return {
    running: mark !== undefined,
    state: mark?.state ?? "stopped",
    pid: mark?.pid ?? null,
    version: VERSION,
    instance_id: null,
    started_at: null,
    home: paths.home,
    socket_path: paths.controlSocket,
    socket_fallback: paths.socketFallback,
    web_url: null,
    degraded,
    isolation: null,
    isolation_reason: null,
    agents: null,
    runs_live: null,
    config,
  };
}
