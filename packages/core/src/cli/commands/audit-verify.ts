import type { CommandContext } from "../context.ts";
import { counted, oneLine, shortTime } from "../format.ts";

/** Returns 1 unless the whole chain is intact. */
export async function run(context: CommandContext): Promise<number> {
  const client = await context.connect();
  const verdict = await client.call("verify_audit");
  context.output.result(verdict, (style) =>
    [
      `${style.paint(verdict.status === "intact" ? "green" : "red", verdict.status)}: ${oneLine(verdict.message)}`,
      style.fields([
        ["first bad event", verdict.first_bad_seq === null ? null : String(verdict.first_bad_seq)],
        [
          "newest checkpoint",
          verdict.checkpoint === null
            ? "none"
            : `${counted(verdict.checkpoint.size, "event")}, ${shortTime(verdict.checkpoint.at)}, ${verdict.checkpoint.valid ? "valid" : "not valid"}`,
        ],
      ]),
    ].join("\n"),
  );
  return verdict.status === "intact" ? 0 : 1;
}
