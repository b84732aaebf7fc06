/** The home that the steps of an agent's builds get, and their environment, which is built from nothing. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Redactor } from "../audit-log/audit-log.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";

/** `forget` is called when the build is over: what the operator passes on is kept out of its log until then. */
export async function makeBuildHome(
  home: string,
  settings: { toolPath: string; passEnvironment: Record<string, string> },
  redactor: Redactor,
): Promise<{ env: Record<string, string>; forget: () => void }> {
  const temporary = join(home, "tmp");
  await ensurePrivateFolder(home);
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  killPoint("build.home_made");
  const { toolPath, passEnvironment } = settings;
  const fixed = { PATH: toolPath, LANG: "C.UTF-8", HOME: home, TMPDIR: temporary, MIX_ENV: "prod", CI: "1" };
  // A proxy address may carry a password.
  const protectedValues = Object.entries(passEnvironment).map(([name, value]) =>
    redactor.protect(value, `env ${name}`),
  );
  return {
    env: { ...fixed, ...passEnvironment },
    forget: () => {
      for (const end of protectedValues) end();
    },
  };
}
