/**
 * What a box shows of this machine, as plain data: everything that is not named here does not exist inside.
 *
 * `BoxPolicy` is made by the callers (a run from its approval, a build from its phase) and turned into the argument
 * vector by box-vector.ts, which is pure. Nothing in here touches the machine.
 */

/** One place of the host that the box shows at the same path. `source` differs from `path` only behind a link of root's. */
export type Place = { path: string; source: string; write: boolean; kind: "file" | "folder" };

/**
 * `none`: an empty network namespace; what Core lets out of it is not the box's business. `open`: the machine's own
 * network.
 */
export type BoxNetwork = "none" | "open";

export type BoxLimits = {
  /** RLIMIT_DATA of each process, in bytes. */
  memoryBytes?: number;
  /** RLIMIT_FSIZE: the largest file that can be written, in bytes. */
  fileBytes?: number;
  /** RLIMIT_NPROC: processes and threads of the box, where `rlimitHoldsProcesses`. */
  processes?: number;
};

export type BoxPolicy = {
  /** What approved permissions opened, outermost first. Each is opened without following a link before it is bound. */
  granted: readonly Place[];
  /** Folders of Core's own that stay hidden whatever was granted around them. */
  hidden: readonly string[];
  /** What the box is for: the agent's folder, its data, its socket. They lie in folders that only Core writes to. */
  own: readonly Place[];
  /** Program folders outside the system's, read-only. */
  tools: readonly string[];
  network: BoxNetwork;
  limits: BoxLimits;
};

/** Of the box's own /tmp and of its /dev/shm, in bytes: they are memory of the machine. */
export const TMP_BYTES: number = 256 * 1024 * 1024;
