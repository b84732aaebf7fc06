/** What the two processes of the figure `capture` tell each other. */

/** CPU includes that of the programs that make or move the bytes. `slowestTurnMs` is how late a 5 ms timer came at worst. */
export type CaptureCost = {
  wallMs: number;
  cpuMs: number;
  grownMiB: number;
  slowestTurnMs: number;
  bytes: number;
  lines: number;
};

/** What `times` of the shell says of its children, in milliseconds. */
export function childrenCpuMs(times: string): number {
  const last = times.trim().split("\n").at(-1) ?? "";
  const parts = [...last.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0);
}
