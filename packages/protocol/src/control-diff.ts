/** The shape of what moved of an agent since its approval, and of what stands beside it. */
import type { z } from "zod";
import { agentDetailJson } from "./control-shapes.ts";

export const agentDiffJson = agentDetailJson.pick({
  drift: true,
  approval: true,
  source_commit: true,
  manifest_changed: true,
  repair_step: true,
  next_step: true,
});

export type AgentDiffJson = z.infer<typeof agentDiffJson>;
