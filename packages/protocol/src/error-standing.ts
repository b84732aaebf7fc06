/** Is what went wrong last with an agent still so? Pure. */
import type { AgentJson } from "./control-shapes.ts";

/** True of an agent that runs again after it, or was put right without a run: its last error is then no fault of now. */
export function isErrorPast({ status, build_status: build }: Pick<AgentJson, "status" | "build_status">): boolean {
  return status !== "error" && build !== "failed";
}
