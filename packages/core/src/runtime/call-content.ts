/** What a call carries, held to its tool's schemas and to the sizes of the protocol. */
import { CoreError, MAX_INPUT_BYTES, MAX_OUTPUT_BYTES } from "@opensentience/protocol";
import type { Issue } from "../schema/schema.ts";
import type { Tool } from "./tool-catalog.ts";

/** Throws `tool.input_too_large`, `tool.invalid_input`. */
export function checkInput(input: unknown, bytes: Uint8Array, tool: Tool): void {
  if (bytes.length > MAX_INPUT_BYTES) {
    throw new CoreError("tool.input_too_large", `the input is over ${MAX_INPUT_BYTES} bytes`);
  }
  const issues = tool.checkInput(input);
  if (issues.length === 0) return;
  throw new CoreError("tool.invalid_input", `the input breaks the tool's schema: ${inWords(issues)}`, {
    details: { issues },
    nextStep: `opensentience tools info ${tool.toolId}`,
  });
}

/** Throws `tool.output_too_large`, `tool.invalid_output`. */
export function checkOutput(output: unknown, bytes: Uint8Array | undefined, tool: Tool): void {
  if ((bytes?.length ?? 0) > MAX_OUTPUT_BYTES) {
    throw new CoreError("tool.output_too_large", `the output is over ${MAX_OUTPUT_BYTES} bytes`);
  }
  const issues = tool.checkOutput?.(output) ?? [];
  if (issues.length === 0) return;
  throw new CoreError("tool.invalid_output", `the output breaks the tool's schema: ${inWords(issues)}`, {
    details: { issues },
  });
}

function inWords([first, ...others]: readonly Issue[]): string {
  return `${first?.message}${others.length === 0 ? "" : ` (and ${others.length} more)`}`;
}
