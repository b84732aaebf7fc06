/**
 * JSON Lines out of a stream of text chunks that break anywhere. Splits on LF only: a JSON text may hold U+2028,
 * which general line readers take for an end of line. A line over the limit fails instead of growing memory.
 */
import { CoreError } from "@opensentience/protocol";

/** The output of a tool has 3 MiB, and may be spelled longer: 1e20 becomes 21 digits. */
const MAX_LINE_CHARACTERS = 32 * 1024 * 1024;

/** Yields each line parsed; fails with `core.internal` on a line that is no JSON or too long. */
export async function* jsonLines(chunks: AsyncIterable<string>, limit = MAX_LINE_CHARACTERS): AsyncGenerator<unknown> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > limit) throw malformed();
    for (const line of lines) if (line.trim() !== "") yield parseJson(line);
  }
  if (rest.trim() !== "") yield parseJson(rest);
}

/** Fails with `core.internal`: Core, or whatever answers on its socket, sent something that is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed();
  }
}

function malformed(): CoreError {
  return new CoreError("core.internal", "Core sent an answer that cannot be read", {
    nextStep: "opensentience core restart",
  });
}
