/**
 * The command line of OpenSentience: argv in, exit code out.
 *
 * It owns nothing but the words on the screen. Every act is a request to Core over the control socket; the database
 * is never opened here and no rule about what is allowed is decided here. One literal table (commands.ts) says which
 * commands exist; each loads its own file when it is run, so that `agents list` does not pay for `agents install`.
 *
 * Life cycle of a command: parse against the table, find Core (start it in the background when it is not running and
 * `--no-start` does not forbid it), ask, print one result, end. Ctrl-C ends the request, upon which Core cancels
 * builds and installs, and the exit code is 130.
 *
 * Promises: results on stdout, everything else on stderr; with `--json` exactly one document each; exit codes from
 * the kind of the error; never a stack trace; text of agents, manifests and logs never reaches a terminal raw.
 * Refuses: to talk to a socket that another user could have put there, to ask where nobody can answer, to run
 * third-party code without saying so. Called by bin.ts only.
 */
import { CoreError, toCoreError } from "@opensentience/protocol";
import { homePaths, terminalEnvironment } from "../host/config.ts";
import { commandName } from "./commands.ts";
import { parseLine, type ParsedLine, wantsJson } from "./arguments.ts";
import { type CommandContext, OptionValues, type Serve } from "./context.ts";
import { Interrupted } from "./interrupted.ts";
import { exitCodeOf, type Output, processOutput } from "./output.ts";
import type { Prompt } from "./prompt.ts";
import { VERSION } from "../host/version.ts";

export type Program = { binary: string; loadServe: () => Promise<Serve> };

/** Runs one command line to its end; never throws. */
export async function main(argv: readonly string[], program: Program): Promise<number> {
  const { noColor } = terminalEnvironment();
  const output = processOutput({ json: wantsJson(argv), quiet: argv.includes("--quiet"), noColor });
  try {
    if (process.platform === "win32") {
      throw new CoreError("core.unsupported_platform", "Windows is not supported yet; use Linux or macOS");
    }
    const line = parseLine(argv);
    if (line.kind === "version") {
      output.result({ version: VERSION }, () => `opensentience ${VERSION}`);
      return 0;
    }
    if (line.kind === "help") {
      const { helpOn } = await import("./help.ts");
      const help = helpOn(line.words);
      output.result(help.json, () => help.text);
      return 0;
    }
    return await runCommand(line, program, output);
  } catch (thrown) {
    if (thrown instanceof Interrupted) {
      if (thrown.outcome !== undefined) output.interrupted(thrown.outcome);
      return 130;
    }
    const error = await named(toCoreError(thrown), argv);
    if (!output.json) await showDetails(output, error);
    output.error(error);
    return exitCodeOf(error);
  }
}

/** What the command line itself could not write, before or without Core: most of all the log of a Core that is to start. */
async function named(error: CoreError, argv: readonly string[]): Promise<CoreError> {
  if (error.cause === undefined) return error;
  const { namingFullDisk } = await import("../host/full-disk.ts");
  const at = argv.indexOf("--home");
  return namingFullDisk(error, (await homePaths(at === -1 ? undefined : argv[at + 1])).home);
}

async function showDetails(output: Output, error: CoreError): Promise<void> {
  const { errorDetails } = await import("./error-details.ts");
  output.ask(errorDetails(output.askStyle, error, output.progressIsShown));
}

async function runCommand(
  line: Extract<ParsedLine, { kind: "command" }>,
  program: Program,
  output: Output,
): Promise<number> {
  const options = new OptionValues(line.options, `opensentience help ${commandName(line.command)}`);
  const paths = await homePaths(options.text("home"));
  const interrupt = new AbortController();
  let prompt: Prompt | undefined;
  const context: CommandContext = {
    command: line.command,
    positionals: line.positionals,
    passthrough: line.passthrough,
    options,
    output,
    paths,
    binary: program.binary,
    signal: interrupt.signal,
    connect: (how) => connect(context, interrupt, how?.start ?? !options.flag("no-start")),
    prompt: async () => {
      if (output.json || process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
      const made = await import("./prompt.ts");
      prompt ??= new made.Prompt(process.stdin, output, interrupt.signal);
      return prompt;
    },
    loadServe: program.loadServe,
  };
  try {
    const { run } = await line.command.load();
    const { runWithAgent } = await import("./agent-id.ts");
    return (await runWithAgent(context, run)) ?? 0;
  } finally {
    prompt?.close();
  }
}

/** Only commands that talk to Core listen for Ctrl-C here; `serve` leaves it to the daemon. A second Ctrl-C kills. */
async function connect(
  context: CommandContext,
  interrupt: AbortController,
  mayStart: boolean,
): Promise<InstanceType<typeof import("./control-client.ts").ControlClient>> {
  const { ControlClient } = await import("./control-client.ts");
  const uid = process.geteuid?.();
  if (uid === undefined) throw new CoreError("core.unsupported_platform", "this operating system has no user ids");
  if (process.listenerCount("SIGINT") === 0) process.once("SIGINT", () => interrupt.abort());
  const { paths, binary, output } = context;
  const startCore = async (): Promise<void> => {
    const starting = await import("./start-core.ts");
    const progress = output.progress();
    progress.show("starting", "Core in the background");
    const settings = context.options.texts("set");
    await starting
      .startCore({ paths, binary, settings, signal: interrupt.signal, isAnswering: () => client.isAnswering() })
      .finally(progress.end);
  };
  const client = new ControlClient({
    paths,
    uid,
    signal: interrupt.signal,
    startCore: mayStart ? startCore : undefined,
  });
  return client;
}
