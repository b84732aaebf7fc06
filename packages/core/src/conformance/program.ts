/** What a test starts: an agent's folder, by its manifest, or any command. */
import { resolve } from "node:path";
import { entrypointCommand } from "@opensentience/protocol";
import { readManifest } from "../manifest/manifest.ts";
import type { Program } from "./trial.ts";

/** The id that an agent without a manifest gets. */
const NAMELESS = "com.example.agent";

/** The entrypoint of the folder's manifest, with more arguments. Throws `manifest.*`. */
export async function programOfFolder(folder: string, args: readonly string[], toolPath: string): Promise<Program> {
  const { manifest } = await readManifest(resolve(folder));
  return {
    argv: entrypointCommand(manifest.entrypoint, args),
    cwd: resolve(folder),
    agentId: manifest.id,
    toolPath,
    env: manifest.entrypoint.type === "mix_task" ? { MIX_ENV: "prod" } : {},
  };
}

/** A command in the current folder. */
export function programOfCommand(argv: readonly string[], toolPath: string): Program {
  return { argv, cwd: process.cwd(), agentId: NAMELESS, toolPath, env: {} };
}
