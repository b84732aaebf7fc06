/** Long acts: live progress on a terminal, nothing anywhere else, and the line wiped before the result is printed. */
import type { ProgressJson } from "@opensentience/protocol";
import type { Output } from "./output.ts";

export async function withProgress<T>(
  output: Output,
  act: (onProgress: ((progress: ProgressJson) => void) | undefined) => Promise<T>,
): Promise<T> {
  if (!output.progressIsShown) return act(undefined);
  const progress = output.progress();
  try {
    return await act(({ phase, text }) => progress.show(phase, text));
  } finally {
    progress.end();
  }
}
