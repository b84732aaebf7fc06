/** The tools that running agents offer: judged one by one when registered, gone with their session. */
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  CoreError,
  parsePermission,
  TOOL_NAME,
  toolDefinition,
  type ToolDefinition,
  type WireError,
} from "@opensentience/protocol";
import { KeptSchemas, type KeptSchema, type SchemaCheck } from "./kept-schemas.ts";

/** Registrations of one session, those of the same tool counted each time. */
const MAX_JUDGED = 10_000;
/** The definitions of one session's tools, in characters of JSON. */
const MAX_DEFINITIONS = 4_194_304;
/** Characters of a field's name that a rejection quotes. */
const MAX_FIELD = 200;

export type Tool = {
  toolId: string;
  agentId: string;
  /** Its schemas are parsed when they are asked for: as objects they take ten times the memory. */
  definition: ToolDefinition;
  /** Of the definition, in characters of JSON. */
  size: number;
  checkInput: SchemaCheck;
  checkOutput: SchemaCheck | undefined;
};

export type Registration = { registered: string[]; rejected: { tool_id: string; error: WireError }[] };

/** Of one session. */
export class ToolSet {
  readonly #agentId: string;
  #tools = new Map<string, Tool>();
  /** How often something of it changed: whoever showed the tools at another number shows them again. */
  changes = 0;
  #judged = 0;
  #schemas: KeptSchemas | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(agentId: string) {
    this.#agentId = agentId;
  }

  get(toolId: string): Tool | undefined {
    return this.#tools.get(toolId);
  }

  list(): Tool[] {
    return [...this.#tools.values()];
  }

  /**
   * A tool that cannot be taken is rejected with its reason; the others are registered all the same, at once when all are
   * judged. SECURITY: a schema may take milliseconds, so other agents get their turn between two of them.
   * Pinned by "a flood of registrations leaves others quick".
   */
  register(definitions: readonly unknown[], replace: boolean): Promise<Registration> {
    return this.#inOrder(() => this.#register(definitions, replace));
  }

  async #register(definitions: readonly unknown[], replace: boolean): Promise<Registration> {
    // A Core whose agents offer no tools need not hold what checks their schemas.
    const { compileSchema } = await import("../schema/schema.ts");
    if (replace) this.#schemas = undefined;
    this.#schemas ??= new KeptSchemas(compileSchema);
    const before = replace ? new Map<string, Tool>() : new Map(this.#tools);
    let size = [...before.values()].reduce((sum, tool) => sum + tool.size, 0);
    const outcome: Registration = { registered: [], rejected: [] };
    for (const [index, raw] of definitions.entries()) {
      await nextTurn();
      try {
        const tool = this.#judge(raw, this.#schemas);
        if (before.has(tool.toolId)) throw new CoreError("tool.duplicate", "a tool of that id is registered already");
        if (size + tool.size > MAX_DEFINITIONS)
          throw new CoreError(
            "tool.schema_too_large",
            `the tools of one agent are over ${MAX_DEFINITIONS} bytes together`,
          );
        size += tool.size;
        before.set(tool.toolId, tool);
        outcome.registered.push(tool.toolId);
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        outcome.rejected.push({ tool_id: nameOf(raw, index), error: { code: error.code, message: error.message } });
      }
    }
    this.#tools = before;
    this.changes += 1;
    return outcome;
  }

  /** The ids that were there. */
  unregister(toolIds: readonly string[]): Promise<string[]> {
    return this.#inOrder(async () => {
      this.changes += 1;
      return toolIds.filter((toolId) => this.#tools.delete(toolId));
    });
  }

  /** What the agent says of its tools takes effect in the order in which it says it. */
  #inOrder<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(act);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  #judge(raw: unknown, schemas: KeptSchemas): Tool {
    this.#judged += 1;
    if (this.#judged > MAX_JUDGED) throw new CoreError("limit.rate", `a session registers at most ${MAX_JUDGED} tools`);
    const parsed = toolDefinition.safeParse(raw);
    if (!parsed.success) {
      const { field, problem } = problemOf(parsed.error, raw);
      const code = field.endsWith("_schema") ? "tool.invalid_schema" : "tool.invalid_id";
      throw new CoreError(code, `${field === "" ? "the tool" : `"${field}"`} ${problem}`);
    }
    const definition = parsed.data;
    const [agentId, name = "", ...rest] = definition.tool_id.split("/");
    if (agentId !== this.#agentId || rest.length > 0 || !TOOL_NAME.test(name)) {
      throw new CoreError("tool.invalid_id", `a tool of this agent is named ${this.#agentId}/<lower_case_name>`);
    }
    const unknown = definition.permissions?.findIndex((permission) => parsePermission(permission) === undefined) ?? -1;
    if (unknown !== -1) throw new CoreError("tool.invalid_id", `"permissions.${unknown}" is no permission`);
    const input = keptAs("input_schema", definition.input_schema, schemas);
    const { output_schema } = definition;
    const output = output_schema === undefined ? undefined : keptAs("output_schema", output_schema, schemas);
    return {
      toolId: definition.tool_id,
      agentId,
      definition: withKept(definition, input, output),
      size: JSON.stringify(definition).length,
      checkInput: input.check,
      checkOutput: output?.check,
    };
  }
}

/** SECURITY: what an agent sent is not quoted, only its field and rule. Pinned by "a tool says which field is wrong, and how to call it". */
function problemOf(
  { issues: [issue] }: { issues: readonly { path: readonly PropertyKey[]; message: string }[] },
  raw: unknown,
): { field: string; problem: string } {
  const path = issue?.path ?? [];
  const value = path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    raw,
  );
  const problem =
    value === undefined ? "is missing" : `breaks its rule: ${(issue?.message ?? "").replace("Invalid input: ", "")}`;
  return { field: path.join(".").slice(0, MAX_FIELD), problem };
}

/** Says of a schema that is not taken which of the two it is. */
function keptAs(field: string, schema: Record<string, unknown>, schemas: KeptSchemas): KeptSchema {
  try {
    return schemas.keep(schema);
  } catch (error) {
    throw error instanceof CoreError ? new CoreError(error.code, `"${field}": ${error.message}`) : error;
  }
}

function withKept(definition: ToolDefinition, input: KeptSchema, output: KeptSchema | undefined): ToolDefinition {
  const parsed = ({ json }: KeptSchema): PropertyDescriptor => ({
    enumerable: true,
    get: () => JSON.parse(json) as Record<string, unknown>,
  });
  return Object.defineProperties(
    { ...definition },
    { input_schema: parsed(input), ...(output === undefined ? {} : { output_schema: parsed(output) }) },
  );
}

function nameOf(raw: unknown, index: number): string {
  const id: unknown = typeof raw === "object" && raw !== null ? Reflect.get(raw, "tool_id") : undefined;
  return typeof id === "string" ? id.slice(0, 300) : `#${index}`;
}
