/**
 * Looks at a program before it is started, so that a missing file, a missing folder or a bad `#!` line is one
 * specific error at once and never a run that dies with 127. The kernel decides again at the start; nothing rests on
 * this check but the quality of the message.
 */
import { constants } from "node:fs";
import { access, open, realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { findProgram, isExecutableFile } from "../host/child-process.ts";
import { isFixedPath } from "../host/fixed-path.ts";

/** What the kernel reads of a file to decide how to run it. */
const HEAD_BYTES = 256;
/** A file that is mended where it is installed is no longer what was approved. */
const IN_REPOSITORY = "in the agent's repository, then install it again";

/**
 * The absolute path to start. A value with `/` is relative to `cwd`, a bare name is looked up on `pathVariable`.
 * Fails with `launcher.folder_missing`, `launcher.program_missing` or `launcher.not_executable`.
 */
export async function checkProgram(program: string, cwd: string, pathVariable: string): Promise<string> {
  if (!(await stat(cwd).catch(() => undefined))?.isDirectory()) {
    throw new CoreError("launcher.folder_missing", `the agent's folder ${cwd} is gone`, {
      details: { folder: cwd },
      nextStep: "opensentience agents scan",
    });
  }
  const path = await locate(program, cwd, pathVariable);
  await checkExecutable(path);
  await checkHead(path, cwd, pathVariable);
  return path;
}

/**
 * For an entrypoint that is a path: `path`, from `checkProgram`, must lie in `folder` in the end, or be a program of the
 * system that only root can change (the python of a virtual environment). Fails with `launcher.program_outside`.
 * SECURITY: a link out of the folder would run what nobody approved; pinned by "refuses an entrypoint that leads out of
 * the agent's folder".
 */
export async function checkInside(path: string, folder: string): Promise<void> {
  const [target, root] = await Promise.all([realpath(path), realpath(folder)]);
  if (target.startsWith(`${root}/`) || (await isFixedPath(target))) return;
  throw new CoreError("launcher.program_outside", `the entrypoint leads to ${target}, out of the agent's folder`, {
    details: { program: path, target },
    nextStep: `ls -l ${path}`,
  });
}

async function locate(program: string, cwd: string, pathVariable: string): Promise<string> {
  if (program.includes("/")) {
    const path = resolve(cwd, program);
    if (await stat(path).catch(() => undefined)) return path;
    throw missing(program, { path }, `make sure that ${path} exists (a build may have to create it)`);
  }
  const found = await findProgram(program, pathVariable);
  if (found !== undefined) return found;
  if (await stat(resolve(cwd, program)).catch(() => undefined)) {
    throw missing(
      program,
      { path: resolve(cwd, program) },
      `write ./${program} ${IN_REPOSITORY}: a bare name is looked for on tools.path only`,
    );
  }
  throw missing(program, { path_variable: pathVariable }, `install ${program} so that it is on ${pathVariable}`);
}

function missing(program: string, details: Record<string, unknown>, nextStep: string): CoreError {
  return new CoreError("launcher.program_missing", `the program ${program} does not exist`, {
    details: { program, ...details },
    nextStep,
  });
}

async function checkExecutable(path: string): Promise<void> {
  if (!(await stat(path)).isFile())
    throw notExecutable(path, "it is not a regular file", "name a program in the manifest's entrypoint");
  try {
    await access(path, constants.X_OK);
  } catch {
    throw notExecutable(path, "it has no permission to be executed", `make it executable ${IN_REPOSITORY}`);
  }
}

async function checkHead(path: string, cwd: string, pathVariable: string): Promise<void> {
  const head = await readHead(path);
  if (head.length === 0) throw notExecutable(path, "it is empty", `write the program ${IN_REPOSITORY}`);
  if (head.subarray(0, 2).toString("latin1") === "#!") return checkInterpreter(path, head, cwd, pathVariable);
  // SECURITY: a POSIX shell runs a text without `#!` as its own script, and no shell may choose what runs; pinned by
  // "refuses a text file without a #! line".
  if (!head.includes(0)) {
    throw notExecutable(
      path,
      "it is a text file without a #! line",
      `begin it with a line such as #!/usr/bin/env node ${IN_REPOSITORY}`,
    );
  }
}

async function checkInterpreter(path: string, head: Buffer, cwd: string, pathVariable: string): Promise<void> {
  const line = (head.toString("utf8").slice(2).split("\n", 1)[0] ?? "").replace(/^[ \t]+/, "");
  const [interpreter = "", ...words] = line.split(/[ \t]+/);
  const shown = JSON.stringify(interpreter);
  const nextStep = interpreter.endsWith("\r")
    ? `remove its Windows line ends ${IN_REPOSITORY}`
    : `install ${interpreter}, or correct the first line ${IN_REPOSITORY}`;
  if (interpreter === "") throw notExecutable(path, "its #! line names no interpreter", nextStep);
  if (!(await isExecutableFile(resolve(cwd, interpreter)))) {
    throw notExecutable(path, `its interpreter ${shown} does not exist or cannot be executed`, nextStep, interpreter);
  }
  const name = basename(interpreter) === "env" ? envProgram(words) : undefined;
  if (name !== undefined && !name.includes("/") && (await findProgram(name, pathVariable)) === undefined) {
    throw notExecutable(
      path,
      `its interpreter ${JSON.stringify(name)} is not on ${pathVariable}`,
      `install ${name} so that it is on ${pathVariable}`,
      name,
    );
  }
}

/** The program that `env` would start: its first word that is neither an option nor an assignment. */
function envProgram(words: string[]): string | undefined {
  return words.find((word) => word !== "" && !word.startsWith("-") && !word.includes("="));
}

function notExecutable(path: string, reason: string, nextStep: string, interpreter?: string): CoreError {
  return new CoreError("launcher.not_executable", `${path} cannot be executed: ${reason}`, {
    details: { program: path, reason, ...(interpreter === undefined ? {} : { interpreter }) },
    nextStep,
  });
}

async function readHead(path: string): Promise<Buffer> {
  let file;
  try {
    file = await open(path, "r");
  } catch {
    // Executable but not readable is legal for a binary: nothing to check.
    return Buffer.from([0]);
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
