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
      return `${kind} ${isSize ? limitText(Number(value)) : value} (${HELD[held]})`;
    })
    .join(", ");
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** What was measured, to one decimal: `977 KiB`, `90.3 MiB`, `60.5 GiB`. */
export function sizeText(bytes: number): string {
  let value = Math.ceil(bytes / 2 ** 10);
  let unit = 0;
  // By what is shown: 1023.99 MiB are 1 GiB.
  while (value >= 1024 && unit < UNITS.length - 1) {
    unit += 1;
    value = Math.round((bytes / 2 ** (10 * (unit + 1))) * 10) / 10;
  }
  return `${value} ${UNITS[unit]}`;
}

/**
 * A limit, or what is held against one: only where one decimal says all is the unit over MiB. `1.5 GiB`, but `1537 MiB`; rounded,
 * what is a little over a limit would read like it.
 */
export function limitText(bytes: number): string {
  for (const [power, unit] of [
    [40, "TiB"],
    [30, "GiB"],
  ] as const) {
    // Of the tenths only the half is a whole number of bytes.
    const value = bytes / 2 ** power;
    if (value >= 1 && Number.isInteger(value * 2)) return `${value} ${unit}`;
  }
  return bytes < 2 ** 20 ? sizeText(bytes) : `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`;
}
