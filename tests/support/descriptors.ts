import { readdirSync, readlinkSync } from "node:fs";

/** Both ends of the pipes that Core makes ahead (host/pipe.ts). */
const MADE_AHEAD = 48;

/** How many descriptors a process has open, without the pipes that it keeps for its next starts. */
export function descriptors(pid: number | "self" = "self"): number {
  const folder = `/proc/${pid}/fd`;
  const targets = readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`);
    } catch {
      // Closed since: that of the listing itself.
      return "";
    }
  });
  const pipes = targets.filter((target) => /\/pipe-[0-9a-f-]{36} \(deleted\)$/.test(target)).length;
  return targets.length - Math.min(pipes, MADE_AHEAD);
}
