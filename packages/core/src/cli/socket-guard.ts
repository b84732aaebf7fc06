/**
 * Who may stand behind the control socket. Commands carry decisions of the operator (approvals above all), so before
 * each connection the socket and its folder must be ours and closed to others; what is ours and closed cannot be
 * swapped between this check and the connection.
 */
import { type Stats, lstatSync } from "node:fs";
import { dirname } from "node:path";
import { CoreError } from "@opensentience/protocol";
import type { Paths } from "../host/paths.ts";

type Place = Pick<Paths, "runFolder" | "controlSocket" | "socketFallback">;

/** True when a safe socket is there, false when there is none; `core.unsafe_socket` when somebody else has a hand in it. */
export function hasSafeSocket(paths: Place, uid: number): boolean {
  // SECURITY: below /tmp another user may own the folder above ours and rename things in it;
  // pinned by "refuses a fallback folder below a folder of others".
  if (paths.socketFallback && !isOurs(dirname(paths.runFolder), uid, "folder")) return false;
  // SECURITY: a socket planted or replaced by another user would receive approvals and give orders in our name;
  // pinned by "refuses a run folder that others can write" and "refuses a socket that others can write".
  return isOurs(paths.runFolder, uid, "folder") && isOurs(paths.controlSocket, uid, "socket");
}

function isOurs(path: string, uid: number, kind: "folder" | "socket"): boolean {
  const found = look(path);
  if (found === undefined) return false;
  if (kind === "folder" ? !found.isDirectory() : !found.isSocket()) throw unsafe(path, `is not a ${kind}`);
  if (found.uid !== uid) throw unsafe(path, "belongs to another user");
  if ((found.mode & 0o022) !== 0) throw unsafe(path, "can be written by other users");
  return true;
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    throw unsafe(path, "cannot be looked at");
  }
}

function unsafe(path: string, reason: string): CoreError {
  return new CoreError("core.unsafe_socket", `${path} ${reason}`, { details: { path }, nextStep: `ls -ld ${path}` });
}
