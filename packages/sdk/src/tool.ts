/** A tool as its author writes it. */
import type { CallContext } from "./call-context.ts";
import { refuseUnknown } from "./known-options.ts";

export type Tool = {
  description: string;
  /** JSON Schema 2020-12 of an object. */
  inputSchema: Record<string, unknown>;
  outputSchema?: Record<string, unknown>;
  /** What the agent must have approved for this tool to be called. */
  permissions?: string[];
  handler: (input: never, context: CallContext) => unknown;
};

const OPTIONS = [
  "description",
  "inputSchema",
  "outputSchema",
  "permissions",
] as const satisfies readonly (keyof Tool)[];

/**
 * Gives a handler's input its type; Core has checked it against the schema before the handler sees it. Throws TypeError for
 * an option that is not known, and for one that is missing or of the wrong type.
 */
export function tool<Input extends Record<string, unknown>>(
  about: Omit<Tool, "handler">,
  handler: (input: Input, context: CallContext) => unknown,
): Tool {
  refuseUnknown("tool()", about, OPTIONS);
  if (typeof about.description !== "string") throw new TypeError("tool() needs a description, a text");
  for (const name of ["inputSchema", "outputSchema"] as const) {
    const schema: unknown = about[name];
    const isThere = schema !== undefined || name === "inputSchema";
    if (isThere && (typeof schema !== "object" || schema === null || Array.isArray(schema)))
      throw new TypeError(`tool() takes as ${name} a JSON Schema, an object`);
  }
  if (typeof handler !== "function") throw new TypeError("tool() takes a function behind its options");
  return { ...about, handler };
}
