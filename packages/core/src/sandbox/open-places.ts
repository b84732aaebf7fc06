/** Opens what was granted right before it is bound, so that what was judged is what is shown. */
import { closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { CoreError } from "@opensentience/protocol";
import type { Place } from "./policy.ts";

/** Linux only; Node's fs.constants does not carry it: a descriptor that only names a place. */
const O_PATH = 0o10000000;

/**
 * One descriptor per place, in order; the caller closes them after the spawn. Throws `sandbox.path_is_link` when a
 * place is not what it was judged to be; nothing is left open then.
 * SECURITY: a folder that becomes a link between the look and the bind would open what nobody approved; the open file
 * itself says where it lies. Pinned by "a place that became a link since it was judged is refused".
 */
export function openPlaces(places: readonly Place[]): number[] {
  const open: number[] = [];
  let at = "";
  try {
    for (const place of places) {
      at = place.path;
      const fd = openSync(place.source, O_PATH | constants.O_NOFOLLOW);
      open.push(fd);
      const stat = fstatSync(fd);
      const isKind = place.kind === "folder" ? stat.isDirectory() : stat.isFile();
      if (!isKind || readlinkSync(`/proc/self/fd/${fd}`) !== place.source) throw new Error("not what it was");
    }
    return open;
  } catch (cause) {
    for (const fd of open) closeSync(fd);
    throw new CoreError("sandbox.path_is_link", `${at} changed while the sandbox was being made`, {
      details: { path: at },
      nextStep: `ls -ld ${at}`,
      cause,
    });
  }
}
