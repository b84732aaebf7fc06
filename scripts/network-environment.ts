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
/** Where tools are looked for unless a setting says otherwise. */
export const DEFAULT_TOOLS: readonly string[] = ["/usr/local/bin", "/usr/bin", "/bin"];

/** What is set of it here. */
export function networkVariables(): Record<string, string> {
  return Object.fromEntries(
    NAMES.flatMap((name) => {
      const value = process.env[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

/** Settings of Core, as its environment names them. */
export function networkEnvironment(): Record<string, string> {
  const tools = [...DEFAULT_TOOLS];
  // npm or mix of a version manager lives in the operator's home; the tools path has to say so.
  for (const name of ["npm", "mix"]) {
    if (tools.some((folder) => existsSync(join(folder, name)))) continue;
    const found = (process.env["PATH"] ?? "")
      .split(":")
      .find((folder) => folder.startsWith("/") && !folder.includes("node_modules") && existsSync(join(folder, name)));
    if (found !== undefined) tools.unshift(found);
  }
  const npmCli = process.env["npm_execpath"];
  if (!tools.some((folder) => existsSync(join(folder, "npm"))) && npmCli !== undefined) tools.unshift(dirname(npmCli));
  const names = Object.keys(networkVariables());
  return {
    ...(names.length === 0 ? {} : { OPENSENTIENCE_BUILD_PASS_ENV: names.join(":") }),
    OPENSENTIENCE_TOOLS_PATH: tools.join(":"),
  };
}
