/** `-f`: what ends a stream that is followed. */
import { existsSync } from "node:fs";
import { CoreError } from "@opensentience/protocol";
import { readCoreMark } from "../host/core-mark.ts";
import type { CommandContext } from "./context.ts";

/** Follows until Core stops, which is a good end: one line on stderr says so. A Core that was lost is `core.unreachable`. */
export async function untilCoreStops(context: CommandContext, follow: () => Promise<void>): Promise<void> {
  try {
    await follow();
  } catch (error) {
    const isLost = error instanceof CoreError && error.code === "core.unreachable";
    if (!isLost || !isLeaving(context.paths.coreMark)) throw error;
    context.output.note("Core stopped");
  }
}

/** A Core that stops says so in its mark and takes it away at its end; one that was killed leaves it as it was. */
function isLeaving(coreMark: string): boolean {
  return readCoreMark(coreMark)?.state === "stopping" || !existsSync(coreMark);
}
