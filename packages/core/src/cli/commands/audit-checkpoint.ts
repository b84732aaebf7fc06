import type { CommandContext } from "../context.ts";

/** Prints the signed note byte for byte: it is meant to be kept elsewhere and compared later. */
export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const checkpoint = await client.call("checkpoint_audit");
  context.output.result(checkpoint, () => checkpoint.note.replace(/\n$/, ""));
}
