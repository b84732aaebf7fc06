/**
 * Logs: what agents, builds and Core itself print.
 *
 * What it owns: the files `<log>`, `<log>.1` … in the CRI log format, from the moment an output stream is handed to
 * `captureLogs` until the file is pruned.
 *
 * Life cycle of a capture: it starts with the process, ends when both streams have ended, or when the launcher says
 * that the process is gone (`drainAndClose`): a grandchild that still holds the pipe is then let go.
 *
 * What it promises: redaction comes before anything is cut or stored; memory stays flat whatever is printed; a line
 * is in its file (handed to the operating system, not forced to the disk) before `done` resolves; files are 0600 in
 * folders 0700, and no file grows past its cap. When the file cannot be written, the agent runs on, lost lines are
 * counted, and the state heals by itself.
 *
 * What it refuses: to write or read through symbolic links; to neutralise control characters in the file. Whoever shows a
 * line on a terminal passes it through `safeText` of the protocol package.
 *
 * Callers: launcher, build and install capture; web and the command line read through the launcher's door.
 */

export { buildLogPath, pruneBuildLogs, readBuildLog } from "./build-logs.ts";
export { captureLogs, type CaptureLimits, type CaptureOptions, type LogCapture } from "./log-capture.ts";
export { followLog, type FollowOptions } from "./follow-log.ts";
export { readLog, type ReadOptions } from "./log-history.ts";
export type { LogFileState } from "./log-file.ts";
export type { LogRecord, LogStream } from "./log-record.ts";
export { pruneLogs } from "./prune-logs.ts";
export { fileStamp, TextLog, writeLog } from "./text-log.ts";
