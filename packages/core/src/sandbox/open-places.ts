/** Opens what was granted right before it is bound, so that what was judged is what is shown. */
import { closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { CoreError } from "@opensentience/protocol";
import { shellWord } from "../host/shell-word.ts";
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
    throw changed([{ path: at }], cause);
  }
}

/** What bubblewrap says of a source that is not there, or of one that is not where its descriptor says. */
const MOVED =
  /Race condition binding|(?:source (.+?)|on \/newroot(.+?)): .*(?:No such file or directory|Not a directory)/s;

/**
 * `sandbox.path_is_link` where bubblewrap ended since a place was moved between its opening and its binding; undefined for
 * every other end. `flags` is its vector: what was opened stands in it as a number, everything else by its path.
 */
export function movedPlace(
  said: string,
  { granted }: { granted: readonly Place[] },
  flags: readonly string[],
): CoreError | undefined {
  const found = MOVED.exec(said);
  if (granted.length === 0 || found === null) return undefined;
  const [, source, path] = found;
  const place = granted.find((one) => one.path === path || one.source === source);
  const isOther = path !== undefined || (source !== undefined && flags.includes(source));
  if (place === undefined && isOther) return undefined;
  // Of more than one it does not always say which.
  return changed(place === undefined ? granted : [place], said);
}

function changed(places: readonly Pick<Place, "path">[], cause: unknown): CoreError {
  const paths = places.slice(0, 3).map(({ path }) => path);
  return new CoreError("sandbox.path_is_link", `${paths.join(" or ")} changed while the sandbox was being made`, {
    details: { path: paths[0] },
    nextStep: `ls -ld ${paths.map(shellWord).join(" ")}`,
    cause,
  });
}
