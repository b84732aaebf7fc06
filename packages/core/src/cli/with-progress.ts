/** Long acts: live progress on a terminal, the line wiped before the result is printed. */
import type { ProgressJson } from "@opensentience/protocol";
import { oneLine } from "./format.ts";
import type { Output } from "./output.ts";

type OnProgress = (progress: ProgressJson) => void;

/** Progress that replaces itself; nothing where there is no terminal. */
export async function withProgress<T>(
  output: Output,
  act: (onProgress: OnProgress | undefined) => Promise<T>,
): Promise<T> {
  if (!output.progressIsShown) return act(undefined);
  const progress = output.progress();
  try {
    return await act(({ phase, text }) => progress.show(phase, text));
  } finally {
    progress.end();
  }
}

/** Output that stays: on a terminal every line of the steps, elsewhere one line as each step begins. */
export async function withBuildOutput<T>(
  output: Output,
  act: (onProgress: OnProgress | undefined) => Promise<T>,
): Promise<T> {
  if (output.json || output.quiet) return act(undefined);
  const progress = output.progress();
  return act(({ phase, text }) => {
    if (text.startsWith("$ ")) output.note(`${phase}: ${oneLine(text)}`);
    else progress.show("output", text);
  });
}
