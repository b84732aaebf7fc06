/** `<agent_id>/<tool_name>` as the API wants it. */
import { CoreError } from "@opensentience/protocol";

/** Throws `usage.invalid`. */
export function toolParams(toolId: string): { agent_id: string; tool_name: string } {
  const [agentId = "", toolName = "", ...rest] = toolId.split("/");
  if (agentId === "" || toolName === "" || rest.length > 0) {
    throw new CoreError("usage.invalid", "a tool is named AGENT/TOOL, e.g. com.example.echo/say", {
      nextStep: "opensentience tools list",
    });
  }
  return { agent_id: agentId, tool_name: toolName };
}
