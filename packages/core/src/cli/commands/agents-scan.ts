import { resolve } from "node:path";
import type { ScanReportJson } from "@opensentience/protocol";
import type { CommandContext } from "../context.ts";
import { counted, duration, oneLine, type Style } from "../format.ts";
import { withProgress } from "../with-progress.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  // Core has a working folder of its own, so paths are made absolute where they were typed.
  const paths = context.positionals.map((path) => resolve(path));
  const report = await withProgress(context.output, (onProgress) =>
    client.call("scan", { body: paths.length === 0 ? {} : { paths } }, onProgress),
  );
  context.output.result(report, (style) => scanText(style, report));
  if (report.found > 0) context.output.nextStep("opensentience agents list");
  else if (report.rejected.some(({ code }) => code === "discovery.root_missing"))
    context.output.nextStep("opensentience help agents scan");
}

export function scanText(style: Style, report: ScanReportJson): string {
  const counts = `${report.new} new, ${report.updated} updated, ${report.unchanged} unchanged, ${report.missing} missing`;
  return [
    `${counted(report.found, "agent")} found in ${counted(report.roots.length, "folder")} (${counts}) in ${duration(report.duration_ms)}`,
    ...report.rejected.map(
      ({ path, code, message }) =>
        `${style.paint("red", "rejected")} ${oneLine(path)}: ${oneLine(message)} (${oneLine(code)})`,
    ),
    ...report.duplicates.map(
      ({ agent_id, path, kept }) =>
        `${style.paint("yellow", "duplicate")} ${oneLine(agent_id)}: ${oneLine(path)} is ignored, ${oneLine(kept)} is kept`,
    ),
  ].join("\n");
}
