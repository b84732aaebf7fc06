/**
 * What a run may use: the manifest asks, the operator's settings are the most it gets. The size of the data folder,
 * and the memory of the tree where no control group holds it, are looked at while the run lives, and a run over its limit
 * is ended with that reason. Behind them the kernel holds each process: RLIMIT_FSIZE is the disk limit, RLIMIT_DATA the memory limit and
 * what a runtime reserves without using it (Node 24 does not start with less than about 600 MiB). Where Core may make
 * control groups, the kernel holds the whole tree to its memory, number of processes and processor time; elsewhere a limit of
 * processor time is only recorded.
 */
import { limitText, sizeText, type Enforcement, type Manifest } from "@opensentience/protocol";
import type { BoxLimits, GroupHeld, GroupLimits } from "../sandbox/sandbox.ts";

export type RunLimits = {
  /** What all processes of the run have in memory together, in bytes. */
  memoryBytes?: number;
  /** Of the data folder, and so of each file, in bytes. */
  diskBytes?: number;
  /** Processes and threads. */
  processes?: number;
  /** Thousandths of a core. */
  cpuMillis?: number;
};

/** Bytes, or a number of processes; 0 is no limit. */
export type MostLimits = { memoryBytes: number; diskBytes: number; processes: number };

const UNITS: Record<string, number> = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const BINARY: Record<string, number> = { k: 2 ** 10, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
/** On top of the limit, for RLIMIT_DATA: address space that is reserved counts there although nothing is in it. */
const RESERVED_BYTES = 2 ** 30;
/** No program starts with less: what an agent asks for in error must not keep it from running with an odd message. */
const LEAST_MEMORY = 16 * 2 ** 20;

export function limitsOf(resources: Manifest["resources"], most: MostLimits): RunLimits {
  const memoryBytes = least(bytesOf(resources?.memory?.limit), most.memoryBytes);
  const diskBytes = least(bytesOf(resources?.disk?.limit), most.diskBytes);
  const cpuMillis = millisOf(resources?.cpu?.limit);
  return {
    ...(memoryBytes === undefined ? {} : { memoryBytes: Math.max(LEAST_MEMORY, memoryBytes) }),
    ...(diskBytes === undefined ? {} : { diskBytes }),
    ...(most.processes === 0 ? {} : { processes: most.processes }),
    ...(cpuMillis === undefined ? {} : { cpuMillis }),
  };
}

/** What the kernel may hold the whole tree to. */
export function treeLimits({ memoryBytes, processes, cpuMillis }: RunLimits): GroupLimits {
  return {
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(processes === undefined ? {} : { pids: processes }),
    ...(cpuMillis === undefined ? {} : { cpuMillis }),
  };
}

/** What the kernel holds each process to. */
export function boxLimits(limits: RunLimits): BoxLimits {
  return {
    ...(limits.memoryBytes === undefined ? {} : { memoryBytes: limits.memoryBytes + RESERVED_BYTES }),
    ...(limits.diskBytes === undefined ? {} : { fileBytes: limits.diskBytes }),
  };
}

/** How each limit that there is is held; for the record of a run. `held` is what the kernel took, of a tree that is there. */
export function limitsHeld(
  resources: Manifest["resources"],
  limits: RunLimits,
  held: GroupHeld = {},
): Record<string, Enforcement> {
  // Core looks at disk, and at memory that no group holds, from outside, with a sandbox and without.
  const [memory, processes, cpu] = [held.memory, held.pids, held.cpu].map((one) => one === true);
  return {
    ...(limits.memoryBytes === undefined ? {} : { [`memory:${limits.memoryBytes}`]: memory ? "enforced" : "brokered" }),
    ...(limits.diskBytes === undefined ? {} : { [`disk:${limits.diskBytes}`]: "brokered" }),
    ...(limits.processes === undefined
      ? {}
      : { [`processes:${limits.processes}`]: processes ? "enforced" : "advisory" }),
    ...(limits.cpuMillis === undefined ? {} : { [`cpu:${resources?.cpu?.limit}`]: cpu ? "enforced" : "advisory" }),
  };
}

/** Why Core ended a run. Between two looks a run grows on, so what was found may be far over its limit. */
export function memoryOver(bytes: number, limitBytes: number): string {
  return `its memory had grown to ${overText(bytes, limitBytes)} when Core looked; its limit is ${limitText(limitBytes)}`;
}

/** Two sizes that read the same say nothing of why a run was ended. */
function overText(bytes: number, limitBytes: number): string {
  const text = limitText(bytes);
  if (text !== limitText(limitBytes)) return text;
  const over = bytes - limitBytes;
  return `${text} and ${over < 1024 ? `${over} byte${over === 1 ? "" : "s"}` : sizeText(over)}`;
}

/** Begins the end of a run that cannot go on before somebody has emptied that folder: Core never does. */
export const DATA_OVER_LIMIT = "its data folder held";

/** The same for its data folder; MAX_SAFE_INTEGER stands for too many files to count. */
export function diskOver(bytes: number, limitBytes: number, folder: string): string {
  const held = bytes === Number.MAX_SAFE_INTEGER ? "too many files" : overText(bytes, limitBytes);
  return `${DATA_OVER_LIMIT} ${held} when Core looked; its limit is ${limitText(limitBytes)}; empty ${folder} by hand`;
}

type LimitedEnd = { exitCode: number | null; signal: string | null; limitsHit?: readonly string[] | undefined };

/**
 * What run-state.ts says of a run that ended by itself in spite of, or because of, its limits. `cause` is certain; `note` is
 * that in brackets, or else the limits that there were; empty where there are none.
 * `isForkSilent`: its processes are limited, and nobody counts how often a fork was refused.
 */
export function limitNotes(
  end: LimitedEnd,
  limits: RunLimits,
  isForkSilent = false,
): { note: string; cause: string | undefined } {
  const cause = causeOf(end, limits);
  if (cause !== undefined) return { note: ` (${cause})`, cause };
  const had = [
    ...(limits.memoryBytes === undefined ? [] : [`its memory was limited to ${limitText(limits.memoryBytes)}`]),
    ...(isForkSilent ? [`its processes and threads were limited to ${limits.processes}`] : []),
  ];
  return { note: end.exitCode === 0 || had.length === 0 ? "" : ` (${had.join(", ")})`, cause };
}

/** What is certain, whatever the exit code: the kernel counted it. */
function causeOf({ signal, limitsHit = [] }: LimitedEnd, limits: RunLimits): string | undefined {
  const { processes, diskBytes, memoryBytes } = limits;
  const causes = [
    ...(limitsHit.includes("pids") ? [`it wanted more than the ${processes} processes it may have`] : []),
    ...(signal === "SIGXFSZ" && diskBytes !== undefined
      ? [`a file grew over the limit of ${limitText(diskBytes)}`]
      : []),
    ...(limitsHit.includes("memory") && memoryBytes !== undefined
      ? [`the kernel ended what was over its limit of memory, ${limitText(memoryBytes)}`]
      : []),
  ];
  return causes.length === 0 ? undefined : causes.join(", ");
}

/** `200m`, `2`. */
function millisOf(text: string | number | undefined): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(text ?? "")) ?? [];
  return amount === undefined ? undefined : Math.ceil(Number(amount) * (unit === "m" ? 1 : 1_000));
}

function least(asked: number | undefined, most: number): number | undefined {
  if (most === 0) return asked;
  return asked === undefined ? most : Math.min(asked, most);
}

/** `256Mi`, `1.5G`, `1000` (bytes). */
function bytesOf(text: string | number | undefined): number | undefined {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([kKMGT]?i?)B?$/.exec(String(text ?? "")) ?? [];
  if (amount === undefined) return undefined;
  const factor = unit.endsWith("i") ? BINARY[unit.slice(0, 1)] : UNITS[unit];
  return Math.ceil(Number(amount) * (factor ?? 1));
}
