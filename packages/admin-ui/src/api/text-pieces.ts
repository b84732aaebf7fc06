/**
 * The text of an answer in pieces between separators, each whole even where a read ends in the middle of one. What stands
 * behind the last separator counts as a piece only if `lastIsWhole`.
 */
export async function* textPieces(
  response: Response,
  separator: RegExp | string,
  { lastIsWhole }: { lastIsWhole: boolean },
): AsyncGenerator<string> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const pieces = (rest + value).split(separator);
      rest = pieces.pop() ?? "";
      yield* pieces;
    }
    if (lastIsWhole) yield rest;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
