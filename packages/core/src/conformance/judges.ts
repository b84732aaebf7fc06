/** Looks at everything that an agent said in a run of the suite, not at one answer. */
import { AGENT_MESSAGES, decodeMessage } from "@opensentience/protocol";
import { ToolSet } from "../runtime/runtime.ts";
import type { AgentSession } from "./agent-session.ts";
import { Disappointed, type Heard } from "./peer.ts";
import { shown, type Step } from "./transcript.ts";

type Judge = Extract<Step, { judge: unknown }>["judge"];

/** Throws `Disappointed`. */
export async function judge(what: Judge, session: AgentSession): Promise<void> {
  if (what === "definitions") return judgeDefinitions(session);
  for (const one of session.all) {
    if (what === "envelopes") one.heard.forEach(judgeEnvelope);
    else if (what === "ids") judgeIds(one.heard);
    else judgeToken(one);
  }
}

/** The judge is Core's own. */
async function judgeDefinitions(session: AgentSession): Promise<void> {
  const set = new ToolSet(session.agentId);
  for (const { message } of session.heard.filter((heard) => heard.message?.["type"] === "agent.tools.register")) {
    const tools: unknown = (message?.["payload"] as Record<string, unknown> | undefined)?.["tools"];
    if (!Array.isArray(tools)) throw new Disappointed("payload.tools is no list");
    const { rejected: all } = await set.register(tools, false);
    const [rejected] = all;
    if (rejected !== undefined) {
      throw new Disappointed(`${rejected.tool_id} is rejected: ${rejected.error.message} (${rejected.error.code})`);
    }
  }
}

function judgeEnvelope({ bytes, message }: Heard): void {
  try {
    decodeMessage(bytes, AGENT_MESSAGES);
  } catch (error) {
    throw new Disappointed(`${shown(message?.["type"])}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function judgeIds(heard: readonly Heard[]): void {
  const seen = new Set<unknown>();
  for (const { message } of heard) {
    if (seen.has(message?.["id"])) throw new Disappointed(`the id ${shown(message?.["id"])} came twice`);
    seen.add(message?.["id"]);
  }
}

function judgeToken({ heard, trial }: AgentSession): void {
  if (trial.output.includes(trial.token)) throw new Disappointed("the token is in what the agent wrote");
  const told = heard.find(
    ({ bytes, message }) =>
      message?.["type"] !== "agent.hello" && Buffer.from(bytes).includes(Buffer.from(trial.token)),
  );
  if (told !== undefined) throw new Disappointed(`the token is in ${shown(told.message?.["type"])}`);
}
