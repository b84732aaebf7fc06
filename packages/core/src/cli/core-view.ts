/** State and settings of Core as text for people. Pure. */
import type { CoreStatusJson } from "@opensentience/protocol";
import { type Cell, shortTime, type Style } from "./format.ts";

export function statusText(style: Style, status: CoreStatusJson): string {
  const isolation = status.isolation?.replaceAll("_", " ");
  return style.fields([
    ["core", stateCell(status.state)],
    ["pid", status.pid === null ? null : String(status.pid)],
    ["version", status.version],
    ["started", status.started_at === null ? null : shortTime(status.started_at)],
    ["home", status.home],
    [
      "socket",
      status.socket_fallback ? `${status.socket_path} (the home is too deep for a socket)` : status.socket_path,
    ],
    ["page", status.web_url],
    ["problem", status.degraded === null ? null : { text: status.degraded, color: "red" }],
    [
      "isolation",
      isolation === undefined || status.isolation_reason === null
        ? isolation
        : `${isolation}: ${status.isolation_reason}`,
    ],
    ["agents", status.agents === null ? null : String(status.agents)],
    ["live runs", status.runs_live === null ? null : String(status.runs_live)],
  ]);
}

function stateCell(state: CoreStatusJson["state"]): Cell {
  if (state === "running") return { text: state, color: "green" };
  return { text: state === "stopped" ? "not running" : state, color: "yellow" };
}

export function settingsTable(style: Style, config: CoreStatusJson["config"]): string {
  if (config.length === 0) return "";
  const rows = config.map(({ key, value, origin }) => [
    key,
    origin,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return style.table(["SETTING", "FROM", "VALUE"], rows);
}
