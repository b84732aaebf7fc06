/** The schema of manifest version 1; the published JSON Schema is made from it. */
import { z } from "zod";
import { parsePermission } from "../permissions.ts";
import { echoText } from "../printable-text.ts";
import { INNER_PATH, PROGRAM, argument, missingOr, quantity, quoted, showable, text, textList } from "./fields.ts";

const AGENT_ID = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/;
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$/;

const args = z
  .array(argument(4000), {
    error: 'must be a list of texts; write each argument as its own string, as ["--port", "1"]',
  })
  .max(100, { abort: true, error: "has over 100 entries; remove some" });

const mixTask = z.object({
  type: z.literal("mix_task"),
  value: text(200, "one mix task, for example agent.run").regex(/^[a-z][a-z0-9_.]*$/, {
    error: (issue) => `${quoted(issue)} is not one mix task; write a name such as agent.run and put the rest in args`,
  }),
  args: args.default([]),
});
const command = z.object({
  type: z.literal("command"),
  value: text(1000, "a path inside the folder, for example ./bin/agent").regex(PROGRAM, {
    error: (issue) =>
      `${quoted(issue)} is no path inside the folder and no bare program name; write ./bin/agent or node, without "..", and put arguments in args`,
  }),
  args: args.default([]),
});
const release = z.object({
  type: z.literal("release"),
  value: text(1000, "a path inside the folder, for example bin/my_agent").regex(INNER_PATH, {
    error: (issue) => `${quoted(issue)} is no path inside the folder; write it relative and without ".."`,
  }),
  args: args.default(["start"]),
});

const permission = z
  .string({ error: "must be a text; write domain:action:pattern" })
  .refine((entry) => entry.trim() === "" || parsePermission(entry.trim()) !== undefined, {
    error: (issue) =>
      `${quoted(issue)} is no permission; write domain:action:pattern in at most 300 bytes, for example filesystem:read:~/Projects/**`,
  })
  .meta({ maxLength: 300, pattern: "^(|[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*(:.+)?)$" });

const step = z.object({
  phase: z.enum(["fetch", "compile"], { error: 'must be "fetch" (with network) or "compile" (without)' }),
  argv: z
    .array(argument(4000), { error: missingOr("a list of texts", 'the program and its arguments, as ["make", "all"]') })
    .min(1, { error: "is empty; write the program first" })
    .max(100, { error: "has over 100 entries; remove some" })
    .refine((argv) => argv[0] !== "", { error: "has an empty program; write its name first" }),
});

const size = z.looseObject({
  limit: quantity(/^\d{1,15}(\.\d{1,6})?([kKMGT]i?)?B?$/, "a size such as 256Mi").optional(),
});
const link = text(2000, "an https address");

/** Top level and `publisher` keep fields that are not known; nested objects that Core acts on drop them. */
export const manifestSchema = z.looseObject({
  $schema: text(2000, "the address of the schema").optional(),
  manifest_version: z.literal(1, { error: "is a version this Core does not know; write 1 or leave it out" }).default(1),
  id: text(200, "an id such as com.example.notes").regex(AGENT_ID, {
    error: (issue) =>
      `${quoted(issue)} is no agent id; write at least two lower-case labels joined by dots, such as com.example.notes`,
  }),
  name: text(200, "a name people read").min(1, { error: "is empty; write a name people read" }),
  version: text(100, "a version such as 1.0.0").regex(SEMVER, {
    error: (issue) => `${quoted(issue)} is no semantic version; write three numbers such as 1.0.0`,
  }),
  description: text(2000, "what the agent does, in a sentence"),
  source: z.object(
    {
      git_url: text(2000, "the git address, for example https://example.com/agent.git").min(1, { error: "is empty" }),
      ref: text(255, "a branch, tag or commit").optional(),
    },
    { error: missingOr("an object", '{ "git_url": "https://…" }') },
  ),
  entrypoint: z.discriminatedUnion("type", [mixTask, command, release], {
    error: missingOr(
      'one of the types "mix_task", "command" and "release"',
      '{ "type": "command", "value": "./bin/agent" }',
    ),
  }),
  permissions: z
    .array(permission, { error: missingOr("a list of texts", "[] when none are needed") })
    .max(500, { abort: true, error: "has over 500 entries; ask for fewer, wider or none" }),
  capabilities: textList(100, 100, "tools"),
  keywords: textList(200, 100, "notes").optional(),
  integration_points: textList(200, 300, "calendar").optional(),
  tool_summary: showable(
    z
      .array(z.union([z.string(), z.looseObject({})], { error: "must be a text or an object" }), {
        error: "must be a list; write one entry per tool",
      })
      .max(500, { abort: true, error: "has over 500 entries; remove some" }),
  ).optional(),
  homepage_url: link.optional(),
  repository_url: link.optional(),
  docs_url: link.optional(),
  publisher: showable(z.looseObject({}, { error: 'must be an object; write { "name": "…" }' })).optional(),
  resources: z
    .looseObject({
      cpu: z
        .looseObject({ limit: quantity(/^\d{1,9}(\.\d{1,3})?m?$/, "thousandths of a core such as 200m").optional() })
        .optional(),
      memory: size.optional(),
      disk: size.optional(),
    })
    .optional(),
  execution_limits: z
    .looseObject({
      max_tool_call_duration: quantity(/^\d{1,9}(\.\d{1,3})?(ms|s|m|h)$/, "a duration such as 15s").optional(),
      max_concurrent_calls: z
        .int({ error: "must be a whole number; write one such as 3" })
        .min(1, { error: "must be at least 1" })
        .max(10_000, { error: "must be at most 10000" })
        .optional(),
      rate_limit: quantity(/^\d{1,9}\/(second|minute|hour)$/, "a rate such as 60/minute").optional(),
    })
    .optional(),
  build: z
    .object(
      {
        steps: z
          .array(step, { error: missingOr("a list", '[{ "phase": "compile", "argv": ["make"] }]') })
          .max(50, { error: "has over 50 entries; put them in a script" }),
      },
      { error: 'must be an object; write { "steps": [] }' },
    )
    .optional(),
});

const SHAPES: Record<string, readonly string[]> = {
  source: Object.keys(manifestSchema.shape.source.shape),
  entrypoint: ["type", "value", "args"],
  build: ["steps"],
  resources: ["cpu", "memory", "disk"],
  execution_limits: ["max_tool_call_duration", "max_concurrent_calls", "rate_limit"],
};

const MAX_UNKNOWN = 100;

/** Names of the fields Core does not know, with dots for nesting; safe to show, at most 100. */
export function unknownFieldsOf(value: object): string[] {
  const unknown = keysBeyond(value, Object.keys(manifestSchema.shape), "");
  for (const [field, known] of Object.entries(SHAPES)) {
    const nested: unknown = Reflect.get(value, field);
    if (typeof nested === "object" && nested !== null) unknown.push(...keysBeyond(nested, known, `${field}.`));
  }
  return unknown.slice(0, MAX_UNKNOWN);
}

function keysBeyond(value: object, known: readonly string[], prefix: string): string[] {
  return Object.keys(value)
    .filter((key) => !known.includes(key))
    .slice(0, MAX_UNKNOWN)
    .map((key) => echoText(prefix + key));
}
