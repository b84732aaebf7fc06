import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { CoreError, type VerifyJson } from "@opensentience/protocol";
import type { CommandContext } from "../context.ts";
import { counted, oneLine, shortTime } from "../format.ts";

/** Returns 1 unless the whole chain is intact. */
export async function run(context: CommandContext): Promise<number> {
  const client = await context.connect();
  const against = await noteOf(context.options.text("against"));
  const verdict = await client.call("verify_audit", { body: against === undefined ? {} : { against } });
  context.output.result(verdict, (style) =>
    [
      `${style.paint(verdict.status === "intact" ? "green" : "red", verdict.status)}: ${oneLine(verdict.message)}`,
      style.fields([
        ["first bad event", verdict.first_bad_seq === null ? null : String(verdict.first_bad_seq)],
        ["given note", against === undefined ? null : noteText(verdict.against)],
        ["newest checkpoint", noteText(verdict.checkpoint)],
      ]),
    ].join("\n"),
  );
  return verdict.status === "intact" ? 0 : 1;
}

function noteText(note: VerifyJson["checkpoint"]): string {
  if (note === null) return "none";
  return `${counted(note.size, "event")}, ${shortTime(note.at)}, ${note.valid ? "valid" : "not valid"}`;
}

async function noteOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return (path === "-" ? await text(process.stdin) : await readFile(path, "utf8")).slice(0, 2_000);
  } catch (cause) {
    throw new CoreError("usage.invalid", "the file with the checkpoint cannot be read", {
      cause,
      details: { path },
      nextStep: "opensentience help audit verify",
    });
  }
}
