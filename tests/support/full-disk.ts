/**
 * A disk of a given size for one folder, so that a test can fill it. Root mounts a tmpfs there, which fails the way a real
 * disk does; anybody else bounds the files that Core may write, which fails at the same place with another code.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import type { CoreHome } from "./core-home.ts";

export type SmallDisk = {
  /** Leaves no room at all, or so many bytes where root mounted the disk. */
  fill(leaveBytes?: number): Promise<void>;
  /** Gives the room back. */
  free(): Promise<void>;
  remove(): Promise<void>;
};

async function asRoot(argv: string[]): Promise<void> {
  const limits = { cwd: "/", env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, timeoutMs: 10_000, maxBytes: 4096 };
  const { exitCode, stderr } = await runTool(argv, limits);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.toString()}`);
}

/** `folder` must be empty or absent; `corePid` is asked for only where nothing can be mounted. */
export async function smallDisk(folder: string, bytes: number, corePid: () => Promise<number>): Promise<SmallDisk> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (process.geteuid?.() !== 0) return boundedFiles(corePid);
  await asRoot(["mount", "-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", folder]);
  const filler = join(folder, ".filler");
  return {
    fill: async (leaveBytes = 0) => {
      try {
        writeFileSync(filler, Buffer.alloc(2 * bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
      if (leaveBytes > 0) truncateSync(filler, Math.max(0, statSync(filler).size - leaveBytes));
      return Promise.resolve();
    },
    free: async () => Promise.resolve(rmSync(filler, { force: true })),
    remove: () => asRoot(["umount", "--lazy", folder]),
  };
}

async function boundedFiles(corePid: () => Promise<number>): Promise<SmallDisk> {
  const bound = async (limit: string): Promise<void> =>
    asRoot(["prlimit", "--pid", String(await corePid()), `--fsize=${limit}:unlimited`]);
  return { fill: () => bound("1"), free: () => bound("unlimited"), remove: () => bound("unlimited") };
}

/** Core's stopped state, moved to a disk of its own. */
export async function stateOnSmallDisk(home: CoreHome, bytes: number): Promise<SmallDisk> {
  const state = join(home.folder, "state");
  const saved = readdirSync(state).map((name) => [name, readFileSync(join(state, name))] as const);
  rmSync(state, { recursive: true });
  const disk = await smallDisk(state, bytes, () => home.corePid());
  for (const [name, content] of saved) writeFileSync(join(state, name), content, { mode: 0o600 });
  return disk;
}
