/**
 * The manifest on disk: reading, hashing, comparing. Discovery, install, enablement and the run gate all come
 * through this door, so that they can never disagree on what an agent says about itself.
 *
 * Life cycle: none. Every call reads the file again; nothing is cached and nothing is written.
 *
 * Promises: the bytes that are hashed are the bytes that are parsed, read in one go from one open file. There is one
 * hash of a manifest (SHA-256 over its raw bytes) and one of a permission list (SHA-256 over the JSON of its canonical
 * form); nobody else computes either. The diff of two manifests is semantic, and "only narrows" is never said of a
 * change that could give an agent more.
 *
 * Refusals: whatever is not a regular file of at most 256 KiB (a link, a FIFO, a device, a folder), without ever
 * waiting on it; what is not UTF-8; JSON that two parsers could read differently; a field that breaks its rule.
 * Nothing of the refused file is quoted beyond 80 visible characters of a field.
 *
 * Callers: discovery, install, build, enablement, launcher. It knows neither the catalog nor the audit log.
 */
import { createHash } from "node:crypto";
import { constants, readlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import {
  CoreError,
  type ErrorCode,
  type Manifest,
  type ManifestProblem,
  canonicalPermissions,
  parseManifest,
} from "@opensentience/protocol";
import { StrictJsonError, parseStrictJson } from "./strict-json.ts";

export { asksNothingMore, type ManifestDiff, diffManifests, isNarrowing } from "./compare.ts";

export const MANIFEST_NAME = "opensentience.agent.json";
/** So many problems are in the message itself; the details have them all. */
const NAMED_PROBLEMS = 3;
export const MAX_MANIFEST_BYTES = 256 * 1024;

export type ManifestFile = {
  /** Path of the file itself. */
  path: string;
  manifest: Manifest;
  /** SHA-256 over the raw bytes, hex. */
  manifestHash: string;
  requestedPermissionsHash: string;
  /** Names of fields Core does not know; safe to show. */
  unknownFields: string[];
  /** How many were read. */
  bytes: number;
  /** Time of the last change as the open file had it, in nanoseconds. */
  mtimeNs: bigint;
};

/** SHA-256 over the raw bytes of a manifest, hex. */
export function hashManifest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** SHA-256 over the JSON of the canonical list, hex; the same for every order, spacing and repetition. */
export function hashPermissions(list: readonly string[]): string {
  return createHash("sha256")
    .update(JSON.stringify(canonicalPermissions(list)))
    .digest("hex");
}

/**
 * Reads and checks the manifest of one folder. Throws `manifest.missing`, `manifest.unreadable`,
 * `manifest.too_large`, `manifest.invalid_encoding`, `manifest.invalid_json` or `manifest.invalid` (with
 * `details.problems`); `details.path` is always the file. `isReal`: no part of `folder` is a link, and one that has
 * become one since is `manifest.unreadable`.
 */
export async function readManifest(folder: string, { isReal = false } = {}): Promise<ManifestFile> {
  const path = join(folder, MANIFEST_NAME);
  const { bytes, mtimeNs } = await readBytes(path, isReal);
  const { manifest, unknownFields } = parseBytes(path, bytes);
  return {
    path,
    manifest,
    manifestHash: hashManifest(bytes),
    requestedPermissionsHash: hashPermissions(manifest.permissions),
    unknownFields,
    bytes: bytes.length,
    mtimeNs,
  };
}

/**
 * The file of one folder as text, whatever it says. Throws `manifest.missing`, `manifest.unreadable`,
 * `manifest.too_large` and `manifest.invalid_encoding`. `isReal` as for `readManifest`.
 */
export async function readManifestText(
  folder: string,
  { isReal = false } = {},
): Promise<{ path: string; text: string; manifestHash: string }> {
  const path = join(folder, MANIFEST_NAME);
  const { bytes } = await readBytes(path, isReal);
  return { path, text: decode(path, bytes), manifestHash: hashManifest(bytes) };
}

async function readBytes(path: string, isReal: boolean): Promise<{ bytes: Uint8Array; mtimeNs: bigint }> {
  // SECURITY: a link could lead out of the agent's folder and a FIFO would block the reader for ever;
  // pinned by "refuses links, FIFOs and folders without waiting".
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    await using file = await open(path, flags);
    if (isReal) refuseElsewhere(path, file);
    const { mtimeNs, size } = await regularFile(path, file);
    if (size > MAX_MANIFEST_BYTES) throw tooLarge(path);
    return { bytes: await readBounded(path, file, Number(size)), mtimeNs };
  } catch (error) {
    throw error instanceof CoreError ? error : readFailure(path, error);
  }
}

/**
 * SECURITY: a folder can become a link between the look at it and the opening of what is in it, and give the content of a
 * place outside the scanned roots; the open file itself says where it lies. Pinned by "a manifest that was reached
 * through a link is refused where none may be". Only Linux tells.
 */
function refuseElsewhere(path: string, file: FileHandle): void {
  if (process.platform !== "linux") return;
  // A file that was replaced since it was opened is told with this behind its path.
  const place = readlinkSync(`/proc/self/fd/${file.fd}`).replace(/ \(deleted\)$/, "");
  if (place === path) return;
  throw refusal("manifest.unreadable", "The manifest's folder was reached through a symbolic link.", path, {
    nextStep: "Put the folder itself in place of the link.",
  });
}

async function regularFile(path: string, file: FileHandle): Promise<{ mtimeNs: bigint; size: bigint }> {
  const stat = await file.stat({ bigint: true });
  if (stat.isFile()) return stat;
  throw refusal("manifest.unreadable", "The manifest is not a regular file.", path, {
    nextStep: `Put a regular file named ${MANIFEST_NAME} in its place.`,
  });
}

/** The size from `stat` is a hint only: a file that grows while it is read is still cut off at the limit. */
async function readBounded(path: string, file: FileHandle, size: number): Promise<Uint8Array> {
  let buffer = new Uint8Array(size + 1);
  let filled = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, null);
    if (bytesRead === 0) return buffer.subarray(0, filled);
    filled += bytesRead;
    if (filled > MAX_MANIFEST_BYTES) throw tooLarge(path);
    if (filled === buffer.length) {
      const larger = new Uint8Array(MAX_MANIFEST_BYTES + 1);
      larger.set(buffer);
      buffer = larger;
    }
  }
}

function parseBytes(path: string, bytes: Uint8Array): { manifest: Manifest; unknownFields: string[] } {
  const value = parseJson(path, decode(path, bytes));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidJson(path, "it must be one JSON object");
  }
  const parsed = parseManifest(value);
  if (parsed.ok) return parsed;
  const named = parsed.problems.slice(0, NAMED_PROBLEMS).map((problem) => `${problem.path}: ${problem.message}`);
  const rest = parsed.problems.length - named.length;
  const more = rest === 0 ? "" : ` (and ${rest} more)`;
  throw refusal("manifest.invalid", `The manifest breaks a rule: ${named.join("; ")}${more}.`, path, {
    problems: parsed.problems,
    nextStep: `Correct the named fields in ${MANIFEST_NAME}.`,
  });
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    // A byte order mark is kept, so that the JSON parser refuses it.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refusal("manifest.invalid_encoding", "The manifest is not valid UTF-8.", path, {
      nextStep: `Save ${MANIFEST_NAME} as UTF-8.`,
      cause,
    });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw invalidJson(path, `line ${error.line}, column ${error.column}: ${error.reason}`);
  }
}

function invalidJson(path: string, reason: string): CoreError {
  return refusal("manifest.invalid_json", `The manifest cannot be read as JSON: ${reason}.`, path, {
    nextStep: `Correct the JSON of ${MANIFEST_NAME} at that place.`,
  });
}

function tooLarge(path: string): CoreError {
  return refusal("manifest.too_large", "The manifest is over 256 KiB.", path, {
    nextStep: "Move long texts out of the manifest.",
  });
}

function readFailure(path: string, cause: unknown): CoreError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  if (code === "ENOENT" || code === "ENOTDIR") {
    return refusal("manifest.missing", `There is no ${MANIFEST_NAME} in that folder.`, path, {
      nextStep: `Name a folder that holds ${MANIFEST_NAME} at its root.`,
      cause,
    });
  }
  const link = code === "ELOOP" || code === "EMLINK";
  const message = link
    ? "The manifest is a symbolic link, which is not followed."
    : `The manifest cannot be read (${code}).`;
  return refusal("manifest.unreadable", message, path, {
    nextStep: link
      ? "Put the file itself in place of the link."
      : "Make the file readable for the user that runs Core.",
    cause,
  });
}

function refusal(
  code: ErrorCode,
  message: string,
  path: string,
  { problems, nextStep, cause }: { problems?: ManifestProblem[]; nextStep: string; cause?: unknown },
): CoreError {
  return new CoreError(code, message, {
    details: problems === undefined ? { path } : { path, problems },
    nextStep,
    cause,
  });
}
