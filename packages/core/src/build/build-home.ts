/** The home that the steps of one build get, and their environment, which is built from nothing. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import type { Redactor } from "../audit-log/audit-log.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { removeTrash } from "../host/trash.ts";

/**
 * `end` is called when the build is over: what the operator passes on is kept out of its log until then. Throws `build.failed`.
 *
 * SECURITY: each build has a home of its own. What an earlier one leaves there (an `.npmrc` that names a program, a `pip.conf`
 * with another index) would be executed by the next, of another commit, and counted as built from that. Pinned by "nothing
 * that a build leaves in its home reaches the next build".
 */
export async function makeBuildHome(
  home: string,
  settings: { toolPath: string; passEnvironment: Record<string, string> },
  redactor: Redactor,
): Promise<{ env: Record<string, string>; end: () => Promise<void> }> {
  const temporary = join(home, "tmp");
  await removeTrash(home).catch((error: NodeJS.ErrnoException) => {
    throw new CoreError("build.failed", `what an earlier build left in ${home} cannot be deleted (${error.code})`);
  });
  await ensurePrivateFolder(home);
  await mkdir(temporary, { mode: 0o700 });
  killPoint("build.home_made");
  const { toolPath, passEnvironment } = settings;
  const fixed = { PATH: toolPath, LANG: "C.UTF-8", HOME: home, TMPDIR: temporary, MIX_ENV: "prod", CI: "1" };
  // A proxy address may carry a password.
  const protectedValues = Object.entries(passEnvironment).map(([name, value]) =>
    redactor.protect(value, `env ${name}`),
  );
  return {
    env: { ...fixed, ...passEnvironment },
    end: async () => {
      for (const endProtection of protectedValues) endProtection();
      // What cannot be deleted now is in the way of the next build, which says so.
      await removeTrash(home).catch(() => {});
    },
  };
}
