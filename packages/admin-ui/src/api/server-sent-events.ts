/** Server-sent events of an answer, one after the other. A browser's own reader of them can send no header. */
import { textPieces } from "./text-pieces.ts";

export type ServerSentEvent = { id: string; name: string; data: string };

/** Whole events only: what a connection that broke left half said is dropped, as the next one brings it again. */
export async function* serverSentEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  for await (const block of textPieces(response, /\r?\n\r?\n/, { lastIsWhole: false })) {
    const event = eventOf(block);
    if (event !== undefined) yield event;
  }
}

function eventOf(block: string): ServerSentEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split(/\r?\n/)) {
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    const before = name === "data" ? fields.get(name) : undefined;
    fields.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  const data = fields.get("data");
  return data === undefined ? undefined : { id: fields.get("id") ?? "", name: fields.get("event") ?? "message", data };
}
