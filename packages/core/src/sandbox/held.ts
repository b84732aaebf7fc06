/** How permissions are held on this machine, in words: nothing is called enforced that is not. */
import type { Enforcement } from "@opensentience/protocol";
import type { Isolation, SandboxProbe } from "./boxed-process.ts";

export type Held = {
  filesystem: Enforcement;
  egress: Enforcement;
  tools: Enforcement;
  isolation: Isolation;
  /** One plain sentence for the interface. */
  sentence: string;
};

const OPEN = "file and network permissions are recorded, but nothing stops the agent from going beyond them.";

/**
 * How permissions are held by what is started here. `confined` false: without a sandbox, by the setting `sandbox.mode`
 * or an approval that says so.
 */
export function describeHeld(probe: SandboxProbe, confined = true): Held {
  const open = { filesystem: "advisory", egress: "advisory", tools: "brokered" } as const;
  if (confined && probe.features !== undefined) {
    const sentence =
      "Each run has a sandbox of its own: the kernel shows it the system's programs, its own folders and the files " +
      "that were approved, and no network; Core's proxy is its way to the hosts that were approved. It ends with its run and with Core.";
    return { ...open, filesystem: "enforced", egress: "brokered", isolation: "sandbox", sentence };
  }
  if (probe.backend === "bubblewrap") {
    const why = probe.features === undefined ? ` (${probe.reason ?? "it cannot be made"})` : "";
    const sentence =
      `There is no sandbox${why}. Each run has a PID namespace of its own, so Core can end all of it and it dies with Core; ` +
      OPEN;
    return { ...open, isolation: "pid_namespace", sentence };
  }
  const sentence =
    `Runs are only process groups (${probe.reason ?? "bubblewrap is not available"}): a program that detaches itself ` +
    `may outlive its run or Core; ${OPEN}`;
  return { ...open, isolation: "process_group", sentence };
}
