import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { interruptedAs } from "../interrupted.ts";
import { withProgress } from "../with-progress.ts";

/** The argument is a URL when it holds a slash or a colon; ids of agents hold neither. */
export async function run(context: CommandContext): Promise<void> {
  const source = required(context, 0);
  const { options, output } = context;
  if (options.flag("dev")) return installInPlace(context, resolve(source));
  const gitUrl = options.text("git-url");
  const isUrl = /[/:]/.test(source) || isPath(source);
  if (isUrl && gitUrl !== undefined) {
    throw new CoreError("usage.invalid", "the URL is given twice: as the argument and with --git-url", {
      nextStep: "opensentience help agents install",
    });
  }
  const url = absolute(isUrl ? source : gitUrl);
  if (url !== undefined && isPath(url) && !existsSync(url)) {
    throw new CoreError("manifest.missing", `there is no folder ${url}; check the path`, {
      details: { path: url },
      nextStep: "opensentience help agents install",
    });
  }
  const ref = options.text("ref");
  const body = {
    ...(isUrl ? {} : { agent_id: source }),
    ...(url === undefined ? {} : { git_url: url }),
    ...(ref === undefined ? {} : { ref }),
    ...(options.flag("allow-local") ? { allow_local: true } : {}),
  };
  const client = await context.connect();
  const agent = await interruptedAs("install canceled; nothing was changed", () =>
    withProgress(output, (onProgress) => client.call("install_agent", { body }, onProgress)),
  );
  output.result(agent, (style) => `installed\n${agentState(style, agent)}`);
  output.nextStep(agent.next_step);
}

async function installInPlace(context: CommandContext, folder: string): Promise<void> {
  const client = await context.connect();
  const agent = await client.call("install_agent", { body: { dev_path: folder } });
  context.output.result(agent, (style) => `runs in place, not pinned to a commit\n${agentState(style, agent)}`);
  context.output.nextStep(agent.next_step);
}

function isPath(source: string): boolean {
  return /^\.{1,2}$|^\.{0,2}\//.test(source);
}

/** Core has a working folder of its own, so a path is made absolute where it was typed. */
function absolute(url: string | undefined): string | undefined {
  return url !== undefined && isPath(url) ? resolve(url) : url;
}
