/**
 * The few files of a bare repository that Core writes and reads itself: an empty repository and where HEAD points take a
 * line each, and a git in its sandbox for every one of them takes longer than all of its reading.
 *
 * SECURITY: a git that was taken over can have put anything in their place, so a file is made anew beside its place and
 * moved there, and read without following a link or waiting for a pipe; pinned by "what a git put in the place of HEAD is
 * replaced, never followed".
 */
import { constants } from "node:fs";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
/** A name of a ref is at most 200 characters (git-url.ts). */
const MAX_HEAD_BYTES = 4_096;

/** An empty repository; of an older one the config is put back, so that nothing written into it since can count. */
export async function prepareFiles(repoFolder: string): Promise<void> {
  for (const folder of ["objects", "refs"]) await mkdir(join(repoFolder, folder), { recursive: true, mode: 0o700 });
  // Without a HEAD that it can read git takes the folder for no repository at all.
  if ((await readHead(repoFolder)) === undefined) await writeHead(repoFolder, "refs/heads/main");
  await replaceFile(repoFolder, "config", CONFIG);
}

/** `ref` is a full name that `parseRef` let through, or one of Core's own. */
export async function writeHead(repoFolder: string, ref: string): Promise<void> {
  await replaceFile(repoFolder, "HEAD", `ref: ${ref}\n`);
}

/** The full name of the ref that HEAD stands for; undefined when it stands for none. */
export async function readHead(repoFolder: string): Promise<string | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(join(repoFolder, "HEAD"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    if (!(await file.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEAD_BYTES), 0, MAX_HEAD_BYTES, 0);
    return /^ref: (refs\/[^\0-\x20\x7f]+)\n$/.exec(buffer.toString("utf8", 0, bytesRead))?.[1];
  } finally {
    await file.close();
  }
}

async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  const place = join(folder, name);
  // Named like git's own, so that what a crash leaves of it is cleared like git's own.
  const beside = `${place}.lock`;
  await rm(beside, { recursive: true, force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  const isFolder = await lstat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder) await rm(place, { recursive: true, force: true });
  await rename(beside, place);
}
