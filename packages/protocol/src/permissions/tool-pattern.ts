/** Patterns of `tool:invoke`: `<agent_id>/<tool>`, where either half may be `*` and nothing else is a wildcard. */

export type ToolPattern = { agent: string; tool: string };

const HALF = /^(?:\*|[A-Za-z0-9][A-Za-z0-9._-]{0,199})$/;

/** undefined when the text is no such pair: it then covers nothing. */
export function parseToolPattern(text: string): ToolPattern | undefined {
  const [agent, tool, ...rest] = text.split("/");
  if (agent === undefined || tool === undefined || rest.length > 0) return undefined;
  return HALF.test(agent) && HALF.test(tool) ? { agent, tool } : undefined;
}

/** True when the pattern covers the tool `<agent_id>/<tool>`; a wildcard in the tool id itself covers nothing. */
export function matchesTool(pattern: string, toolId: string): boolean {
  const outer = parseToolPattern(pattern);
  const inner = toolId.includes("*") ? undefined : parseToolPattern(toolId);
  return outer !== undefined && inner !== undefined && includesTool(outer, inner);
}

export function includesTool(outer: ToolPattern, inner: ToolPattern): boolean {
  return (outer.agent === "*" || outer.agent === inner.agent) && (outer.tool === "*" || outer.tool === inner.tool);
}
