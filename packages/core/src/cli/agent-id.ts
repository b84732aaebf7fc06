/**
 * Short names of agents: `tide` for com.newcomer.tide. An id has at least two labels, so a word without a dot cannot be
 * one and is looked up first. Everything else is sent as it was typed; only when Core knows no such agent is it looked
 * up as the end of an id, and the command is run again (Core had done nothing). Which agent is meant is said on stderr.
 */
import { CoreError } from "@opensentience/protocol";
import { nearest, nearestId } from "../host/config.ts";
import { allPages } from "./all-pages.ts";
import type { CommandContext, CommandModule } from "./context.ts";
import type { ControlClient } from "./control-client.ts";
import { oneLine } from "./format.ts";

/** Throws `agent.not_found` with the nearest id, and `usage.invalid` for a name that several agents end with. */
export async function runWithAgent(context: CommandContext, run: CommandModule["run"]): Promise<number | void> {
  const typed = typedId(context);
  if (typed === undefined) return run(context);
  if (!typed.includes(".")) return run(await withFullId(context, typed));
  try {
    return await run(context);
  } catch (error) {
    if (!(error instanceof CoreError) || error.code !== "agent.not_found") throw error;
    return run(await withFullId(context, typed));
  }
}

/** The one id that the name stands for: itself, or the only one that ends with it. */
export function idMeant(name: string, ids: readonly string[]): string {
  if (ids.includes(name)) return name;
  const [meant, ...others] = ids.filter((id) => id.endsWith(`.${name}`));
  if (meant === undefined) throw unknownAgent(name, ids);
  if (others.length === 0) return meant;
  const named = [meant, ...others].slice(0, 5);
  throw new CoreError("usage.invalid", `"${name}" is the end of several ids: ${named.join(", ")}`, {
    details: { agent_ids: named },
    nextStep: "opensentience agents list",
  });
}

export async function allAgentIds(client: ControlClient): Promise<string[]> {
  const list = await allPages((cursor) => client.call("list_agents", { query: { cursor, limit: 500 } }));
  return list.items.map((agent) => agent.agent_id);
}

async function withFullId(context: CommandContext, typed: string): Promise<CommandContext> {
  const id = idMeant(typed, await allAgentIds(await context.connect()));
  if (id !== typed) context.output.note(`${typed} is ${id}`);
  return { ...context, positionals: [id, ...context.positionals.slice(1)] };
}

/** What stands where an id belongs; undefined where the command takes none, or the word is a URL or a folder. */
function typedId({ command, positionals, options }: CommandContext): string | undefined {
  const typed = positionals[0];
  const name = command.positionals[0]?.name;
  if (name === "ID") return typed;
  // With --git-url the id is what the repository must carry; it need not be known.
  const isSource = typed === undefined || /[/:]|^\.{1,2}$/.test(typed);
  return name === "ID|URL" && !isSource && !options.flag("dev") && options.text("git-url") === undefined
    ? typed
    : undefined;
}

/** Of an empty list that was asked for about one agent: an id that nobody knows is a slip, and is said to be one. */
export async function sayIfUnknown({ output }: CommandContext, client: ControlClient, typed: string): Promise<boolean> {
  if (output.json) return false;
  const ids = await allAgentIds(client);
  if (ids.includes(typed)) return false;
  output.note(oneLine(unknownAgent(typed, ids).message));
  return true;
}

/** `agent.not_found` with the nearest id. */
export function unknownAgent(name: string, ids: readonly string[]): CoreError {
  const shown = name.slice(0, 200);
  const near = nearestId(name, ids) ?? nearestLabel(name, ids);
  return new CoreError(
    "agent.not_found",
    `no agent "${shown}" is known${near === undefined ? "" : `; did you mean "${near}"?`}`,
    {
      details: { agent_id: shown, nearest: near ?? null },
      nextStep: near === undefined ? "opensentience agents list" : `opensentience agents info ${near}`,
    },
  );
}

function nearestLabel(name: string, ids: readonly string[]): string | undefined {
  const lastOf = (id: string): string => id.slice(id.lastIndexOf(".") + 1);
  const near = nearest(name, ids.map(lastOf));
  return ids.find((id) => lastOf(id) === near);
}
