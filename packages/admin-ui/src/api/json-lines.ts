/** JSON Lines of an answer, one after the other, whole even where a read ends in the middle of a line. */
export async function* jsonLines<T>(response: Response): AsyncGenerator<T> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line) as T;
    }
    if (rest !== "") yield JSON.parse(rest) as T;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
