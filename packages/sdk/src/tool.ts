/** A tool as its author writes it. */
import type { CallContext } from "./call-context.ts";

export type Tool = {
  description: string;
  /** JSON Schema 2020-12 of an object. */
  inputSchema: Record<string, unknown>;
  outputSchema?: Record<string, unknown>;
  /** What the agent must have approved for this tool to be called. */
  permissions?: string[];
  handler: (input: never, context: CallContext) => unknown;
};

/** Gives a handler's input its type; Core has checked it against the schema before the handler sees it. */
export function tool<Input extends Record<string, unknown>>(
  about: Omit<Tool, "handler">,
  handler: (input: Input, context: CallContext) => unknown,
): Tool {
  return { ...about, handler };
}
