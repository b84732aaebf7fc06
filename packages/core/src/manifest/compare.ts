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
  /** Each by its place, down to the value that differs: `resources.memory.limit`. */
  fields: { field: string; from: string; to: string }[];
  /** Nothing of the fields is more than a text for display. */
  isDisplayOnly: boolean;
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
    ...changedFields(before, after),
  };
}

function changedFields(before: Manifest, after: Manifest): Pick<ManifestDiff, "fields" | "isDisplayOnly"> {
  const [old, fresh] = [membersOf(before), membersOf(after)];
  const changed = [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((field) => field !== "permissions" && field !== "entrypoint")
    .filter((field) => !isDeepStrictEqual(old.get(field), fresh.get(field)));
  const byField = changed.map((field) => changedPlaces(field, old.get(field), fresh.get(field)));
  const places = byField.flat();
  const fields = firstOfEach(byField, MAX_FIELDS).map(({ place, from, to }) => ({
    field: echoText(place, MAX_SHOWN),
    from: shown(from),
    to: shown(to),
  }));
  const rest = places.length - fields.length;
  if (rest > 0) fields.push({ field: `${rest} more fields`, from: "", to: "" });
  // By the keys themselves: a place only looks like one, and an unknown key may hold a dot.
  return { fields, isDisplayOnly: rest === 0 && changed.every((field) => DISPLAY_ONLY.has(field)) };
}

type Change = { place: string; from: unknown; to: unknown };

/**
 * In their order. SECURITY: a field that is given many members must not push a changed source or limit out of what is shown;
 * pinned by "many members of one field hide no other".
 */
function firstOfEach(byField: readonly Change[][], limit: number): Change[] {
  const ranked = byField.flatMap((places) => places.map((change, rank) => ({ change, rank })));
  const kept = new Set(ranked.toSorted((a, b) => a.rank - b.rank).slice(0, limit));
  return ranked.filter((each) => kept.has(each)).map(({ change }) => change);
}

/** The innermost values that differ of two that do; what is absent has no members. */
function changedPlaces(place: string, from: unknown, to: unknown): Change[] {
  if (!isTakenApart(from, to)) return [{ place, from, to }];
  const [old, fresh] = [membersOf(from), membersOf(to)];
  const memberOf = (key: string): string => (Array.isArray(from ?? to) ? `[${key}]` : memberPlace(key));
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((key) => !isDeepStrictEqual(old.get(key), fresh.get(key)))
    .flatMap((key) => changedPlaces(`${place}${memberOf(key)}`, old.get(key), fresh.get(key)));
}

/** Two objects or two lists, either of which may be absent; a short list of texts or numbers is read at one look. */
function isTakenApart(from: unknown, to: unknown): boolean {
  const there = [from, to].filter((value) => value !== undefined);
  if (!there.every(isObject)) return false;
  if (!there.some(Array.isArray)) return there.some((value) => Object.keys(value).length > 0);
  return there.every(Array.isArray) && there.some((list) => list.some(isObject) || isLong(list));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isLong(list: unknown[]): boolean {
  return JSON.stringify(list).length > MAX_SHOWN;
}

function memberPlace(key: string): string {
  return /^[\w$-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function membersOf(value: unknown): Map<string, unknown> {
  return new Map(Object.entries(value ?? {}));
}

function shownEntrypoint({ type, value, args }: Entrypoint): string {
  return echoText([type, value, ...args.map((entry) => JSON.stringify(entry))].join(" "), MAX_ENTRYPOINT_SHOWN);
}

function shown(value: unknown): string {
  if (value === undefined) return "";
  const text = typeof value === "string" && value !== "" ? value : JSON.stringify(value);
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
export function asksNothingMore({ permissions, entrypoint, isDisplayOnly }: ManifestDiff): boolean {
  if (entrypoint !== null || permissions.added.length + permissions.widened.length > 0) return false;
  return isDisplayOnly;
}
