/** Hands an address to the operator's browser. */
import { setTimeout as delay } from "node:timers/promises";
import { findProgram, spawnProcess, whenExited, whenSpawned } from "../host/child-process.ts";
import { inheritedEnvironment } from "../host/config.ts";

/** A launcher that still runs after this has found a browser and waits for it. */
const LAUNCH_MS = 3_000;

/** False where there is no browser, or it would not start. */
export async function openInBrowser(url: string): Promise<boolean> {
  const env = inheritedEnvironment();
  // Without a display the launcher takes a browser in text mode, which has no terminal here.
  const hasDisplay = [env["DISPLAY"], env["WAYLAND_DISPLAY"], env["WSL_DISTRO_NAME"]].some(Boolean);
  if (process.platform === "linux" && !hasDisplay) return false;
  const program = await findProgram(process.platform === "darwin" ? "open" : "xdg-open", env["PATH"] ?? "");
  if (program === undefined) return false;
  const child = spawnProcess([program, url], { env, stdio: "ignore" });
  const exited = whenExited(child);
  try {
    await whenSpawned(child);
  } catch {
    return false;
  }
  child.unref();
  const waiting = new AbortController();
  const exit = await Promise.race([exited, delay(LAUNCH_MS, undefined, { signal: waiting.signal })]);
  waiting.abort();
  return exit === undefined || exit.exitCode === 0;
}
