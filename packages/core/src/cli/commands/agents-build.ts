import { type BuildPlanJson, commandText, CoreError, namesText } from "@opensentience/protocol";
import { agentState } from "../agent-view.ts";
import { boundaryLabel } from "../boundary-label.ts";
import { type CommandContext, required } from "../context.ts";
import { counted, type Style } from "../format.ts";
import { interruptedAs } from "../interrupted.ts";
import { withBuildOutput } from "../with-progress.ts";

const MOST_NAMES = 10;

/** Shows the plan, asks (or needs --yes), then lets Core build. Returns 1 when the answer was no. */
export async function run(context: CommandContext): Promise<number> {
  const agentId = required(context, 0);
  const { output } = context;
  const client = await context.connect();
  const params = { agent_id: agentId };
  const plan = await client.call("plan_build", { params });
  if (context.options.flag("plan")) {
    output.result(plan, (style) => planText(style, plan));
    output.nextStep(`opensentience agents build ${agentId}`);
    return 0;
  }
  if (!(await interruptedAs("nothing was built", () => isConfirmed(context, agentId, plan)))) {
    output.note("nothing was built");
    return 1;
  }
  const agent = await interruptedAs("build canceled", () =>
    withBuildOutput(output, (onProgress) =>
      client.call("build_agent", { params, body: { expected_plan: plan.digest } }, onProgress),
    ),
  );
  output.result(agent, (style) => `${putBackText("put back", agent)}built\n${agentState(style, agent)}`);
  output.nextStep(agent.next_step);
  return 0;
}

async function isConfirmed(context: CommandContext, agentId: string, plan: BuildPlanJson): Promise<boolean> {
  const { output } = context;
  if (plan.steps.length === 0) {
    output.note(planText(output.askStyle, plan));
    return true;
  }
  const introduction = `${boundaryLabel(output.askStyle, `build ${agentId}`)}\n${planText(output.askStyle, plan)}`;
  if (context.options.flag("yes")) {
    output.note(introduction);
    return true;
  }
  const prompt = await context.prompt();
  if (prompt === undefined) {
    throw new CoreError(
      "usage.confirmation_required",
      `building ${agentId} executes third-party code; confirm it with --yes`,
      {
        details: { flag: "--yes" },
        nextStep: `opensentience agents build ${agentId} --yes`,
      },
    );
  }
  prompt.show(introduction);
  return prompt.confirm("Build now?");
}

type PutBack = Pick<BuildPlanJson, "put_back" | "put_back_count">;

/** Somebody had changed them: whoever repairs an agent wants to know what. */
function putBackText(verb: string, { put_back: files, put_back_count: count }: PutBack): string {
  if (count === 0) return "";
  if (files.length === 0) return `${verb} the whole source, which could not be read\n`;
  const more = count > MOST_NAMES ? ` and ${count - MOST_NAMES} more` : "";
  return `${verb} ${counted(count, "changed file")}: ${namesText(files, MOST_NAMES)}${more}\n`;
}

/** A step that needs one of them fails, and hardly says why. */
function unsetText(style: Style, { unset_variables: names }: BuildPlanJson): string {
  if (names.length === 0) return "";
  const text = `  build.pass_env: ${names.join(", ")} not set where Core was started, so no step gets it`;
  return `${style.paint("yellow", text)}\n`;
}

const REACH: Record<BuildPlanJson["steps"][number]["reach"], string> = {
  none: "no network",
  public_hosts: "network: public hosts",
  machine: "this machine's whole network",
};

export function planText(style: Style, plan: BuildPlanJson): string {
  const first = putBackText("  first puts back", plan) + unsetText(style, plan);
  if (plan.steps.length === 0) return `${first}  nothing to build: no step would run`;
  const steps = plan.steps.map(({ phase, argv, reach }, index) => {
    const shown = style.paint(reach === "none" ? "dim" : "yellow", REACH[reach]);
    return `  ${index + 1}. ${phase} (${shown}): ${commandText(argv)}`;
  });
  return `${first}${steps.join("\n")}`;
}
