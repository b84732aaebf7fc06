/**
 * Builds get an environment from nothing, so what this machine needs to reach a package registry (a proxy, a
 * certificate authority, a registry of its own) has to be named. The demo and the tests name what is set here, by
 * the same settings an operator would use: `build.pass_env` and `tools.path`.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

const NAMES = [
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
  "https_proxy",
  "http_proxy",
  "no_proxy",
  "npm_config_registry",
  "npm_config_cafile",
];
const DEFAULT_TOOLS = ["/usr/local/bin", "/usr/bin", "/bin"];

export function networkEnvironment(): Record<string, string> {
  const names = NAMES.filter((name) => process.env[name] !== undefined && process.env[name] !== "");
  const tools = [...DEFAULT_TOOLS];
  // npm of a version manager lives in the operator's home; the tools path has to say so.
  if (!DEFAULT_TOOLS.some((folder) => existsSync(join(folder, "npm")))) {
    const npm = (process.env["PATH"] ?? "")
      .split(":")
      .find((folder) => folder.startsWith("/") && !folder.includes("node_modules") && existsSync(join(folder, "npm")));
    if (npm !== undefined) tools.unshift(npm);
  }
  const npmCli = process.env["npm_execpath"];
  if (!tools.some((folder) => existsSync(join(folder, "npm"))) && npmCli !== undefined) tools.unshift(dirname(npmCli));
  return {
    ...(names.length === 0 ? {} : { OPENSENTIENCE_BUILD_PASS_ENV: names.join(":") }),
    OPENSENTIENCE_TOOLS_PATH: tools.join(":"),
  };
}
