/**
 * Named moments at which a test lets Core die: between an intent and its effect outside the database, after the effect,
 * and before its outcome is recorded. What a crash at any of them leaves must be closed by the next start of Core.
 *
 * Life cycle: Core arms at most one of them at its start, from its environment (config.ts, `killPointSetting`); every other
 * call does nothing. At the armed one the process ends as by `kill -9`: no handler runs, nothing is flushed.
 * Promises: each name of the table is called at exactly one place (tests/soak/kill-points.test.ts compares both ways and
 * dies at every one of them). Refuses: a name that is not in the table (`config.invalid`), and to be armed by anything
 * but the environment that Core was started with, which only the operator can set. Callers: every folder that has an
 * effect on files or processes.
 */
import { CoreError } from "@opensentience/protocol";

/** Name → what has just happened. */
export const KILL_POINTS = {
  "file.temporary_written": "a private file stands under its temporary name",
  "file.replaced": "a private file has taken its place",
  "file.appended": "a private file has grown",
  "mark.temporary_written": "the mark of the process stands under its temporary name",
  "mark.replaced": "the mark of the process is in place",
  "tool.spawned": "a short trusted program (git, mkfifo, bwrap) has been started",
  "pipes.made": "the FIFOs of a process tree stand in its folder",
  "pipes.opened": "both ends are open and the FIFOs are gone from the folder",

  "start.locked": "Core has the lock of its home and nothing else",
  "start.recorded": "core.started is committed",
  "start.reconciled": "what an earlier Core left is closed",
  "start.sockets_removed": "socket folders of an earlier Core are removed",
  "start.listening": "the control socket is open",
  "reconcile.swap_undone": "an interrupted swap is undone, which is not recorded",
  "reconcile.swap_confirmed": "a swap that was recorded is completed",
  "reconcile.source_in_place": "a source that a restore left beside its place is back in it",
  "reconcile.removal_finished": "what a removal had left is moved away",
  "reconcile.leftovers_ended": "processes of an earlier run are ended, which is not recorded",
  "reconcile.staging_emptied": "the staging folder is gone",

  "storage.backup_copied": "the copy of the database before a migration is written, not yet in place",
  "storage.backup_in_place": "the copy is in place",
  "storage.migrated": "one migration is committed",
  "audit.rows_journaled": "rows of calls are in the journal, before anybody hears of it",
  "audit.rows_inserted": "rows of calls came from the journal into the table",
  "audit.event_committed": "an act and its events are committed, before anybody hears of it",
  "audit.key_made": "the key of the checkpoints is in its file",
  "audit.notes_cut": "half a checkpoint was cut off the file",
  "audit.checkpoint_written": "a checkpoint is in the file, not in the database",
  "audit.checkpoint_recorded": "a checkpoint is in both",
  "audit.erased": "metadata is erased in the database, not in its journal",

  "install.staging_made": "the staging folder of an install exists",
  "install.repository_prepared": "the bare repository is made",
  "install.fetched": "git's objects are there",
  "install.tree_written": "the files of the commit stand in staging",
  "install.entries_saved": "the list of its files stands in staging",
  "install.intent_recorded": "the intent is committed",
  "install.journal_written": "the swap has begun, nothing has moved",
  "install.previous_set_aside": "the tree from before the tree from before is beside its place",
  "install.previous_made": "the place for the old tree is made",
  "install.part_moved": "one part of a tree was moved",
  "install.old_moved": "the old tree is in `previous`",
  "install.new_in_place": "the new tree is in its place, which is not recorded",
  "install.swap_committed": "the swap is recorded, its journal still there",
  "install.replaced_moved": "what is no longer needed is in staging, the journal still there",
  "install.journal_removed": "the swap is over",
  "install.part_put_back": "one part is back where it was",
  "install.undone": "a swap that failed while Core lived is undone",
  "install.log_written": "the log of the install is written",
  "install.staging_removed": "the staging folder is empty again",
  "rollback.intent_recorded": "the intent is committed",
  "rollback.swapped": "the trees have changed places, which is not recorded",
  "rollback.committed": "the rollback is recorded, its journal still there",
  "rollback.confirmed": "the journal is gone, a fitting approval not yet reinstated",
  "restore.tree_written": "the files of the commit stand in staging",
  "restore.beside_source": "they stand beside the source that they replace",
  "restore.source_moved": "the changed source is away, its place empty",
  "restore.source_in_place": "the source is that of the commit again",
  "remove.intent_recorded": "the intent is committed",
  "remove.part_moved": "one part of an agent whose data is kept was moved away",
  "remove.moved": "all of the agent is in staging, which is not recorded",
  "remove.committed": "the removal is recorded",
  "remove.tree_deleted": "what was removed is deleted, its approval still active",

  "build.intent_recorded": "the start of the build is committed",
  "build.home_made": "the folders of the build are made",
  "build.step_spawned": "the process tree of a step waits for its word",
  "build.go_sent": "the step runs",
  "build.step_ended": "the step's process tree is gone",
  "build.socket_folder_removed": "the step's folder of pipes is removed",
  "build.tree_hashed": "the built tree is hashed",
  "build.entries_saved": "the list of its files is written, the build not recorded",

  "box.spawned": "bubblewrap has been started, who is inside is not known",
  "box.ready": "the agent's first process waits for its word",
  "group.spawned": "the same without bubblewrap",
  "group.signalled": "every member got SIGTERM, without bubblewrap",
  "group.killed": "every member got SIGKILL, without bubblewrap",
  "run.folders_made": "the folders of a run are made",
  "run.logs_pruned": "logs of older runs are deleted",
  "run.socket_listening": "the run's own socket is open, its start not recorded",
  "run.intent_written": "the intent is committed",
  "run.box_spawned": "the process tree stands, its pid not recorded",
  "run.pid_recorded": "pid and start are committed, the agent waits",
  "run.go_sent": "the agent runs",
  "run.tree_gone": "the process tree is gone, which is not recorded",
  "run.output_drained": "the last line is in the log, the end not recorded",
  "run.end_recorded": "the end is committed, the folder of the run still there",
  "run.socket_folder_removed": "the folder of the run is removed",
  "restart.scheduled": "a restart is due after a pause",
  "restart.due": "the pause is over, nothing is started yet",
  "stop.requested": "the request is committed, no signal sent",
  "stop.held": "the wrapper is stopped, so that it cannot end the tree early",
  "stop.signalled": "every member got SIGTERM",
  "stop.killed": "the tree got SIGKILL after its grace",
  "log.file_moved": "one file of a log moved to its next name",
  "log.rotated": "all files of a log moved, the new one is not begun",
  "log.pruned": "one old log is deleted",

  "token.intent_recorded": "the token of the web page is to be replaced",
  "token.replaced": "the new token is in its file, which is not recorded",

  "core.stop_begun": "Core is stopping and takes no requests",
  "core.stop_agents_ended": "every agent is ended",
  "core.stop_recorded": "core.stopped is committed",
  "core.stop_storage_closed": "the last checkpoint is signed, the database closed",
  "core.stop_socket_removed": "the control socket is removed",
  "core.stop_mark_removed": "the mark of the process is removed",
} as const;

export type KillPoint = keyof typeof KILL_POINTS;

let armed: { name: string; left: number } | undefined;

/** `setting` is a name, or `name:n` for the n-th time it is passed. Throws `config.invalid`. */
export function armKillPoint(setting: string | undefined): void {
  if (setting === undefined || setting === "") return;
  const [name = "", nth = "1"] = setting.split(":");
  if (!Object.hasOwn(KILL_POINTS, name) || !/^[1-9]\d{0,5}$/.test(nth)) {
    throw new CoreError("config.invalid", `there is no kill point "${setting.slice(0, 80)}"`, {
      nextStep: "unset OPENSENTIENCE_KILL_POINT",
    });
  }
  armed = { name, left: Number(nth) };
}

/** Ends this process as by `kill -9` when this moment is the armed one; else does nothing. */
export function killPoint(name: KillPoint): void {
  if (armed?.name !== name) return;
  armed.left -= 1;
  // The signal is delivered before the call returns: not one more instruction of Core runs.
  if (armed.left === 0) process.kill(process.pid, "SIGKILL");
}
