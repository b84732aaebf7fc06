import { textPieces } from "./text-pieces.ts";

/** JSON Lines of an answer, one after the other; the last may lack its line end. */
export async function* jsonLines<T>(response: Response): AsyncGenerator<T> {
  for await (const line of textPieces(response, "\n", { lastIsWhole: true }))
    if (line !== "") yield JSON.parse(line) as T;
}
