/** What two manifests say differently, in words for the person who has to approve again. */
import { isDeepStrictEqual } from "node:util";
import {
  type Entrypoint,
  type Manifest,
  type PermissionDiff,
  diffPermissions,
  echoText,
  isPureNarrowing,
} from "@opensentience/protocol";

/** Texts are safe to show; "" stands for an absent field. */
export type ManifestDiff = {
  permissions: PermissionDiff;
  entrypoint: { from: string; to: string } | null;
  fields: { field: string; from: string; to: string }[];
};

/** Fields that neither Core nor a person's trust goes by; a new name or publisher is looked at in full. */
const DISPLAY_ONLY: ReadonlySet<string> = new Set([
  "$schema",
  "version",
  "description",
  "keywords",
  "integration_points",
  "tool_summary",
  "homepage_url",
  "repository_url",
  "docs_url",
]);

const MAX_SHOWN = 120;
const MAX_ENTRYPOINT_SHOWN = 1000;
/** More changed fields than this are counted in one last entry, which is never display-only. */
const MAX_FIELDS = 50;

/** The semantic diff; order and spelling of keys do not count, fields that are not known do. */
export function diffManifests(before: Manifest, after: Manifest): ManifestDiff {
  const same = isDeepStrictEqual(before.entrypoint, after.entrypoint);
  return {
    permissions: diffPermissions(before.permissions, after.permissions),
    entrypoint: same ? null : { from: shownEntrypoint(before.entrypoint), to: shownEntrypoint(after.entrypoint) },
    fields: changedFields(before, after),
  };
}

function changedFields(before: Manifest, after: Manifest): ManifestDiff["fields"] {
  const [old, fresh] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const changed = [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((field) => field !== "permissions" && field !== "entrypoint")
    .filter((field) => !isDeepStrictEqual(old.get(field), fresh.get(field)));
  const fields = changed.slice(0, MAX_FIELDS).map((field) => ({
    field: echoText(field, MAX_SHOWN),
    from: shown(old.get(field)),
    to: shown(fresh.get(field)),
  }));
  const rest = changed.length - fields.length;
  if (rest > 0) fields.push({ field: `${rest} more fields`, from: "", to: "" });
  return fields;
}

function shownEntrypoint({ type, value, args }: Entrypoint): string {
  return echoText([type, value, ...args.map((entry) => JSON.stringify(entry))].join(" "), MAX_ENTRYPOINT_SHOWN);
}

function shown(value: unknown): string {
  if (value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // SECURITY: an address may carry a login, and diffs are stored; pinned by "a diff never shows a login of an address".
  return echoText(text.replace(/\/\/[^/\s"]*@/g, "//…@"), MAX_SHOWN);
}

/**
 * True when permissions were only dropped or narrowed and nothing else moved but texts for display. A changed
 * entrypoint, build, source, limit, name or unknown field is never a narrowing. Says nothing about the code itself:
 * a new commit has to be judged on its own.
 */
export function isNarrowing(diff: ManifestDiff): boolean {
  return isPureNarrowing(diff.permissions) && asksNothingMore(diff);
}

/** As isNarrowing, but nothing has to be given up: what a new commit asks for was approved, or a wider form of it. */
export function asksNothingMore({ permissions, entrypoint, fields }: ManifestDiff): boolean {
  if (entrypoint !== null || permissions.added.length + permissions.widened.length > 0) return false;
  return fields.every(({ field }) => DISPLAY_ONLY.has(field));
}
