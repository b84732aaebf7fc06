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
  const found = await findStatus(context);
  const { status, mendStep } = found ? { status: found, mendStep: undefined } : await downStatus(context.paths);
  context.output.result(status, (style) =>
    `${statusText(style, status)}\n\n${settingsTable(style, status.config)}`.trimEnd(),
  );
  if (status.state === "running") return 0;
  // With a config.toml that cannot be read no Core starts.
  const start = mendStep ?? "opensentience core start";
  context.output.nextStep(status.state === "stopping" ? "opensentience core stop" : start);
  return 5;
}

/** What can be said without an answer of Core, which may be starting or stopping just now; a config file that keeps it from starting is named as the reason. */
async function downStatus(paths: Paths): Promise<{ status: CoreStatusJson; mendStep: string | undefined }> {
  let config: CoreStatusJson["config"] = [];
  let degraded: string | null = null;
  let mendStep: string | undefined;
  try {
    config = (await loadConfig(paths)).list();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    degraded = `${error.message} (${error.code})`;
    mendStep = error.nextStep;
  }
  const mark = readCoreMark(paths.coreMark);
  if (mark?.state === "running") degraded = `its control socket is gone; end it with: kill ${mark.pid}`;
  const status: CoreStatusJson = {
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
  return { status, mendStep };
}
