import { CoreError } from "@opensentience/protocol";
import { loadConfig, nearest } from "../../host/config.ts";
import { boundaryLabel } from "../boundary-label.ts";
import type { CommandContext } from "../context.ts";
import { Interrupted } from "../interrupted.ts";
import { caseLine, countLine } from "../protocol-view.ts";

const HELP = "opensentience help protocol test";

/** A line per case, then the counts; 1 when a case failed. The suite is loaded when it is asked for. */
export async function run(context: CommandContext): Promise<number> {
  const { options, output, positionals, passthrough } = context;
  const { agentCases, programOfCommand, programOfFolder, testAgent } = await import("../../conformance/conformance.ts");
  const cases = agentCases().map(({ name, says }) => ({ name, says }));
  if (options.flag("list")) {
    output.result({ cases }, (style) =>
      style.table(
        ["CASE", "AN AGENT THAT PASSES"],
        cases.map(({ name, says }) => [name, says]),
      ),
    );
    return 0;
  }
  const only = options.texts("case");
  const known = cases.map(({ name }) => name);
  const unknown = only.find((name) => !known.includes(name));
  if (unknown !== undefined) throw usage(`there is no case "${unknown.slice(0, 80)}"${meant(nearest(unknown, known))}`);
  const { toolPath } = await loadConfig(context.paths);
  const [folder] = positionals;
  if (folder === undefined && passthrough.length === 0) throw usage("name the agent's folder, or a command behind --");
  const program =
    folder === undefined
      ? programOfCommand(passthrough, toolPath)
      : await programOfFolder(folder, passthrough, toolPath);
  output.ask(output.json ? "" : `${boundaryLabel(output.askStyle, `run ${program.agentId}`)}\n`);
  const tool = options.text("tool");
  const seconds = options.count("timeout", 1, 600);
  // SECURITY: the agent has a process group of its own, so a Ctrl-C would leave it behind. Pinned by "leaves no agent behind".
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  const outcomes = await testAgent({
    program,
    signal: interrupt.signal,
    ...(only.length === 0 ? {} : { only }),
    ...(tool === undefined ? {} : { tool: { name: tool, ...inputOf(options.text("input")) } }),
    ...(seconds === undefined ? {} : { stepMs: seconds * 1_000 }),
    onOutcome: (outcome) => {
      if (!output.json && !interrupt.signal.aborted) output.line(caseLine(output.style, outcome));
    },
  });
  if (interrupt.signal.aborted) throw new Interrupted("the test is interrupted, and its agent ended");
  const count = (status: string): number => outcomes.filter((outcome) => outcome.status === status).length;
  const counts = {
    passed: count("passed"),
    failed: count("failed"),
    not_applicable: count("not_applicable"),
    not_run: count("not_run"),
  };
  output.result({ agent_id: program.agentId, ...counts, cases: outcomes }, () => countLine(counts));
  return counts.failed === 0 ? 0 : 1;
}

function inputOf(text: string | undefined): { input?: Record<string, unknown> } {
  if (text === undefined) return {};
  try {
    const input: unknown = JSON.parse(text);
    if (typeof input === "object" && input !== null && !Array.isArray(input))
      return { input: input as Record<string, unknown> };
  } catch {
    // Said below, in the same words.
  }
  throw usage('--input is no JSON object, such as {"text":"hello"}');
}

function meant(near: string | undefined): string {
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

function usage(message: string): CoreError {
  return new CoreError("usage.invalid", message, { nextStep: HELP });
}
