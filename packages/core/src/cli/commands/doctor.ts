import { CoreError, type DoctorJson } from "@opensentience/protocol";
import { loadConfig } from "../../host/config.ts";
import type { CommandContext } from "../context.ts";
import type { Cell } from "../format.ts";

/** Where programs are looked for when config.toml cannot be read. */
const USUAL_TOOL_PATH = "/usr/local/bin:/usr/bin:/bin";
const COLORS = { ok: "green", warn: "yellow", fail: "red" } as const;

/** Returns 1 when something fails. A Core that cannot be started is a finding, not an error. */
export async function run(context: CommandContext): Promise<number> {
  const report = await reportOf(context);
  context.output.result(report, (style) => {
    const rows = report.checks.map((check): Cell[] => [
      { text: check.status, color: COLORS[check.status] },
      check.name,
      check.message,
      check.next_step ?? "-",
    ]);
    return style.table(["", "CHECK", "FINDING", "MENDED BY"], rows, "whole");
  });
  return report.ok ? 0 : 1;
}

async function reportOf(context: CommandContext): Promise<DoctorJson> {
  try {
    const client = await context.connect();
    return await client.call("check_health");
  } catch (error) {
    if (!(error instanceof CoreError) || error.kind === "usage") throw error;
    const message = `Core does not answer: ${error.message} (${error.code})`;
    // The doctor is where a full disk sends people; from here on it is the disk that has to be looked at.
    const nextStep =
      error.details["no_space"] === true ? `df -h ${context.paths.home}` : (error.nextStep ?? "opensentience serve");
    const { paths } = context;
    const { checkWithoutCore } = await import("../../doctor/doctor.ts");
    const toolPath = await loadConfig(paths).then(
      (config) => config.toolPath,
      () => USUAL_TOOL_PATH,
    );
    const checks = await checkWithoutCore({ toolPath, configFile: paths.config, home: paths.home });
    return { ok: false, checks: [{ name: "core", status: "fail", message, next_step: nextStep }, ...checks] };
  }
}
