/** docs/protocol.md says what the schemas and the suite say, both ways. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  AGENT_MESSAGES,
  CORE_MESSAGES,
  decodeMessage,
  FrameDecoder,
  MAX_DEPTH,
  MAX_FRAME_BYTES,
  MAX_TOOLS,
  MAX_VALUES,
  MESSAGE_ENVELOPE,
  toolDefinition,
} from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agentCases } from "./conformance.ts";

const DOCUMENT = readFileSync(resolve(import.meta.dirname, "../../../../docs/protocol.md"), "utf8");
const MESSAGES: Record<string, z.ZodType> = { ...AGENT_MESSAGES, ...CORE_MESSAGES };

type Field = [path: string, type: string, required: string];

/** The text below a heading, up to the next one. */
function below(heading: string): string {
  const [, after = ""] = DOCUMENT.split(new RegExp(`^#+ ${heading.replaceAll(".", "\\.")}$`, "m"));
  return after.split(/^##+ /m)[0] ?? "";
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => /^\| `[^`]+` \|/.test(line))
    .map((line) => line.split(" |").map((cell) => cell.replace(/^\|? ?/, "").trim()));
}

function documented(heading: string): Field[] {
  return rows(below(heading)).map(([path = "", type = "", required = ""]) => [
    path.replaceAll("`", ""),
    type,
    required,
  ]);
}

/** Every field of a schema, by its path, as the document names it. */
function fieldsOf(schema: z.ZodType, prefix = ""): Field[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return fieldsOfJson(json, prefix);
}

type Json = z.core.JSONSchema.BaseSchema;

function fieldsOfJson(schema: Json, prefix: string): Field[] {
  const properties = Object.entries(schema.properties ?? {}) as [string, Json][];
  return properties.flatMap(([name, value]): Field[] => {
    const required = (schema.required ?? []).includes(name) ? "yes" : "no";
    return [[`${prefix}${name}`, typeOf(value), required], ...within(value, `${prefix}${name}`)];
  });
}

function within(schema: Json, path: string): Field[] {
  if (schema.anyOf !== undefined) {
    const options = schema.anyOf as Json[];
    // Options that are objects stand beside each other in the document: each is one of them.
    return options.flatMap((option) =>
      option.type === "object"
        ? fieldsOfJson(option, `${path}.`).map(([name, type]): Field => [name, type, "one of"])
        : within(option, path),
    );
  }
  if (schema.type === "array") {
    const items = schema.items as Json;
    return [[`${path}[]`, typeOf(items), "yes"], ...within(items, `${path}[]`)];
  }
  return fieldsOfJson(schema, `${path}.`);
}

/** `wireObject` is judged by code, which no JSON Schema can say. */
function typeOf(schema: Json): string {
  if (schema.anyOf !== undefined) {
    const types = [...new Set((schema.anyOf as Json[]).map(typeOf))];
    return types.length === 1 ? (types[0] ?? "") : `${types.slice(0, -1).join(", ")} or ${types.at(-1)}`;
  }
  if (schema.const !== undefined) return typeof schema.const === "number" ? "integer" : typeof schema.const;
  return String(schema.type ?? "any");
}

/** What the code checks as an object shows as "any" in a JSON Schema; the document may say more. */
function asJsonSchemaSays(fromDocument: Field[], fromSchema: Field[]): Field[] {
  return fromDocument.map((field, index): Field => {
    const [path, type, required] = field;
    return fromSchema[index]?.[1] === "any" && type === "object" ? [path, "any", required] : field;
  });
}

describe("docs/protocol.md", () => {
  test("has every message, and no other", () => {
    const headings = [...DOCUMENT.matchAll(/^### `((?:agent|core)\.[a-z_.]+)`$/gm)].map(([, type = ""]) => type);
    expect([...headings].sort()).toEqual(Object.keys(MESSAGES).sort());
  });

  test.each(Object.keys(MESSAGES))("has the fields of %s", (type) => {
    const fields = fieldsOf(MESSAGES[type] ?? z.never());
    expect(asJsonSchemaSays(documented(`\`${type}\``), fields)).toEqual(fields);
  });

  test("has the fields of the envelope and of a tool's definition", () => {
    const [envelope, definition] = [fieldsOf(MESSAGE_ENVELOPE), fieldsOf(toolDefinition)];
    expect(asJsonSchemaSays(documented("Envelope"), envelope)).toEqual(envelope);
    expect(asJsonSchemaSays(documented("Tool definition"), definition)).toEqual(definition);
  });

  test("says that what the schemas check as objects are objects", () => {
    for (const [type, schema] of Object.entries({ ...MESSAGES, envelope: MESSAGE_ENVELOPE })) {
      const heading = type === "envelope" ? "Envelope" : `\`${type}\``;
      for (const [path, docType] of documented(heading)) {
        if (docType !== "object" || path.includes("[]") || path.includes(".")) continue;
        const shape = (schema as z.ZodObject).shape as Record<string, z.ZodType>;
        expect(shape[path]?.safeParse([]).success, `${type} ${path}`).toBe(false);
      }
    }
  });

  test("has every case of the suite, in its order, with what it holds an agent to", () => {
    const table = agentCases().map(({ name, says }) => [name, says]);
    const written = rows(below("Conformance")).filter((cells) => cells.length === 4 && !cells[1]?.includes("`"));
    const cases = written.map(([name = "", says]) => [name.replaceAll("`", ""), says]);
    expect(cases.filter(([name]) => !/^[a-z]+_[a-z]+$|^sleep$/.test(name ?? ""))).toEqual(table);
  });

  test("has a frame in hex that is the message below it", () => {
    const [, hex = "", json = ""] = /```\n((?:[0-9a-f]{2}[ \n])+)```\n\n```json\n(.*)\n```/.exec(DOCUMENT) ?? [];
    const [body] = new FrameDecoder().push(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
    expect(Buffer.from(body ?? []).toString()).toBe(json);
    expect(DOCUMENT).toContain(`${(body?.length ?? 0) + 4} bytes`);
  });

  test("has a session whose every line is a message of its side", () => {
    const lines = [...DOCUMENT.matchAll(/^([<>]) (\{.*\})$/gm)];
    expect(lines.length).toBeGreaterThanOrEqual(9);
    for (const [, side, json = ""] of lines) {
      const body = Buffer.from(json);
      if (side === ">") expect(decodeMessage(body, AGENT_MESSAGES).type).toMatch(/^agent/);
      else expect(decodeMessage(body, CORE_MESSAGES).type).toMatch(/^core/);
    }
  });

  test("has the limits of the code", () => {
    const numbers = below("Limits").replaceAll(/(\d) (?=\d)/g, "$1");
    for (const limit of [MAX_FRAME_BYTES, MAX_DEPTH, MAX_VALUES, MAX_TOOLS]) expect(numbers).toContain(String(limit));
  });
});
