/**
 * The manifest, version 1: what an agent says about itself in `opensentience.agent.json`. Pure data, pure parsing.
 *
 * `parseManifest` is the only way from an unknown value to a `Manifest`. It reports every problem at once, each with
 * the field and what to write instead; a message quotes at most 80 visible characters of what was refused. Texts
 * that people decide by may not hold control, direction or invisible characters. Fields that are not known are kept,
 * named and otherwise ignored, so that a newer manifest can be read. Nothing in a manifest is ever executed, fetched
 * or expanded here, and the address of the source is checked where it is used, at install.
 *
 * Reading the bytes (size, encoding, duplicate keys) and hashing belong to Core; the rules of single fields are in
 * `manifest/schema.ts`, from which the published JSON Schema is made as well.
 */
import { z } from "zod";
import { manifestSchema, unknownFieldsOf } from "./manifest/schema.ts";
import { canonicalPermissions } from "./permissions.ts";

export { echoText } from "./printable-text.ts";

export const ENTRYPOINT_TYPES = ["mix_task", "command", "release"] as const;

/** How the agent is started; always an argument vector, never a shell line. */
export type Entrypoint = {
  type: (typeof ENTRYPOINT_TYPES)[number];
  /** A mix task, a path inside the agent's folder, or (command only) the bare name of a program. */
  value: string;
  args: string[];
};

/** `fetch` has the network, `compile` has none. */
export type BuildStep = { phase: "fetch" | "compile"; argv: string[] };

export type Manifest = {
  $schema?: string;
  manifest_version: 1;
  id: string;
  name: string;
  version: string;
  description: string;
  source: { git_url: string; ref?: string };
  entrypoint: Entrypoint;
  /** Requested permissions in canonical form. */
  permissions: string[];
  capabilities: string[];
  keywords?: string[];
  integration_points?: string[];
  /** Display only; what the agent registers at run time is authoritative. */
  tool_summary?: (string | Record<string, unknown>)[];
  homepage_url?: string;
  repository_url?: string;
  docs_url?: string;
  publisher?: Record<string, unknown>;
  /** Requests; the operator's configuration wins. Units are in the texts: `200m` of a core, `256Mi`. */
  resources?: {
    cpu?: { limit?: string | number };
    memory?: { limit?: string | number };
    disk?: { limit?: string | number };
  };
  /** Requests: `15s`, 3, `60/minute`. A bare number is seconds, or calls per minute. */
  execution_limits?: {
    max_tool_call_duration?: string | number;
    max_concurrent_calls?: number;
    rate_limit?: string | number;
  };
  /** Takes the place of the plan that Core would detect; an empty list means nothing is built. */
  build?: { steps: BuildStep[] };
};

/** `path` is the field (`entrypoint.value`, `permissions[3]`); both texts are safe to show. */
export type ManifestProblem = { path: string; message: string };

export type ManifestResult =
  | { ok: true; manifest: Manifest; unknownFields: string[] }
  | { ok: false; problems: ManifestProblem[] };

const MAX_PROBLEMS = 100;

/** All problems of the value, or the manifest; never throws. Past 100 problems the last entry counts the rest. */
export function parseManifest(value: unknown): ManifestResult {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, problems: [{ path: "manifest", message: "must be one JSON object" }] };
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  // The schema and the type above say the same; optional fields that are absent have no key.
  const manifest = { ...parsed.data, permissions: canonicalPermissions(parsed.data.permissions) } as Manifest;
  return { ok: true, manifest, unknownFields: unknownFieldsOf(value) };
}

function problemsOf(error: z.ZodError): ManifestProblem[] {
  const problems = error.issues.slice(0, MAX_PROBLEMS).map(({ path, message }) => ({ path: fieldName(path), message }));
  const rest = error.issues.length - problems.length;
  if (rest > 0) problems.push({ path: "manifest", message: `has ${rest} more problems; correct these first` });
  return problems;
}

function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "");
}

/** JSON Schema (draft 2020-12) for editors; published as `opensentience.agent.schema.json`. */
export function manifestJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(manifestSchema, { target: "draft-2020-12", io: "input" });
  return {
    $schema,
    $id: "opensentience.agent.schema.json",
    title: "OpenSentience agent manifest, version 1",
    ...schema,
  };
}
