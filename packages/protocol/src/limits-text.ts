/** The limits of a run in words. Pure. */
import type { RunJson } from "./control-shapes.ts";

const HELD: Record<RunJson["limits"][string], string> = {
  enforced: "held by the kernel",
  brokered: "Core looks and ends the run",
  advisory: "only recorded",
  unsupported: "only recorded",
};

/** `memory 200 MiB (Core looks and ends the run), processes 40 (held by the kernel)`; empty where there are none. */
export function limitsText(limits: RunJson["limits"]): string {
  return Object.entries(limits)
    .map(([limit, held]) => {
      const [kind = "", value = ""] = limit.split(":");
      const isSize = kind === "memory" || kind === "disk";
      return `${kind} ${isSize ? sizeText(Number(value)) : value} (${HELD[held]})`;
    })
    .join(", ");
}

/** `256 MiB`; `977 KiB`. */
export function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`;
}
