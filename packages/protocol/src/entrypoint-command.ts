/** The argument vector of a run, from the approved entrypoint. No shell anywhere: the vector is what is executed. */
import type { Manifest } from "./manifest.ts";

/** `extra` are the operator's own arguments after `--`. Paths stay relative to the agent's folder, which is the cwd. */
export function entrypointCommand(entrypoint: Manifest["entrypoint"], extra: readonly string[]): string[] {
  switch (entrypoint.type) {
    case "mix_task":
      return ["mix", entrypoint.value, ...(entrypoint.args ?? []), ...extra];
    case "command":
      return [entrypoint.value, ...(entrypoint.args ?? []), ...extra];
    case "release":
      return [
        entrypoint.value.includes("/") ? entrypoint.value : `./${entrypoint.value}`,
        ...(entrypoint.args ?? ["start"]),
        ...extra,
      ];
  }
}
