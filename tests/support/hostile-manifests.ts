/** Manifests as somebody would write them who means harm: valid ones, broken at the level of bytes and of values. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXAMPLES } from "./core-home.ts";
import { MANIFEST, manifestOf } from "./small-agent.ts";

type Random = () => number;

/** Every field there is. */
const FULL = manifestOf("com.example.full", {
  $schema: "https://example.com/schema.json",
  manifest_version: 1,
  source: { git_url: "https://example.com/full.git", ref: "main" },
  entrypoint: { type: "command", value: "./bin/agent", args: ["--port", "1"] },
  permissions: ["filesystem:read:~/notes/**", "network:egress:*.example.com:443", "env:read:LANG", "tool:invoke:*/x"],
  capabilities: ["tools"],
  keywords: ["notes", "Notizen"],
  integration_points: ["calendar"],
  tool_summary: ["search", { name: "find", input: { type: "object", deep: [[{ a: null }]] } }],
  homepage_url: "https://example.com/",
  publisher: { name: "Ada", more: { contact: "ada@example.com" } },
  resources: { cpu: { limit: "200m" }, memory: { limit: "256Mi" }, disk: { limit: 1024 } },
  execution_limits: { max_tool_call_duration: "15s", max_concurrent_calls: 3, rate_limit: "60/minute" },
  build: { steps: [{ phase: "compile", argv: ["make", "all"] }] },
  unheard_of: { of: true },
});

/** Texts of valid manifests: those of the examples, a small and a full one. */
export const VALID: string[] = [
  ...readdirSync(EXAMPLES).map((name) => readFileSync(join(EXAMPLES, name, MANIFEST), "utf8")),
  JSON.stringify(manifestOf("com.example.small")),
  JSON.stringify(FULL, null, 2),
];

/** What has hurt parsers and readers before. */
const TOKENS: readonly (string | number[])[] = [
  '"__proto__":{"polluted":true},',
  '"\\u005f_proto__":{"polluted":true},',
  '"constructor":{"prototype":{"polluted":true}},',
  '"prototype":{},"toString":null,"hasOwnProperty":1,',
  '"id":"com.example.other",',
  '"\\u0069d":"com.example.other",',
  "1e400",
  "-1e999",
  "-0",
  "1e-400",
  "9".repeat(400),
  "0x10",
  "NaN",
  "[".repeat(40),
  '{"a":'.repeat(40),
  "[".repeat(20_000),
  `${"[".repeat(30)}${"]".repeat(30)}`,
  "\\ud800",
  "\\udc00\\ud800",
  "\\u0000",
  "\\u001b[2J",
  "\u001b[2J",
  "\u0000",
  "\ufeff",
  "\u202egro.elpmaxe",
  "\u200b",
  "\u2066",
  "\u{e0041}",
  "\u0430",
  "\u2028",
  "\\u202e",
  "//",
  "/* */",
  "'",
  '"',
  "\\",
  "{}",
  "}{",
  ",,",
  "a".repeat(5_000),
  "../".repeat(50),
  "${HOME}`id`$(id);id|id\n",
  [0xff],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0xe2, 0x82],
];

/** Values that stand where another was. */
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  2 ** 53,
  "",
  " ",
  "com.\u0435xample.notes",
  "com.example.notes\u200b",
  "\u202ecom.example.notes",
  "com.example..notes",
  "Com.Example.Notes",
  "com.example.notes\n",
  "x".repeat(3_000),
  "../../etc/passwd",
  "./bin/../../x",
  "/bin/sh",
  "./bin/agent\u0000.txt",
  "sh -c id",
  "--upload-pack=id",
  "filesystem:read:~/x/../../etc",
  "1.0.0\u202e",
  [],
  {},
  [[[[]]]],
  Array.from({ length: 600 }, (_, index) => `a:b:${index}`),
  Array.from({ length: 200 }, () => "\u001b[2J"),
  { type: "command", value: "rm", args: [{}] },
  { git_url: "ext::sh -c id" },
];

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** One hostile manifest: a valid one after one to four mutations; `random` decides all of it. */
export function hostileManifest(random: Random): Buffer {
  let bytes = Buffer.from(random() < 0.3 ? withOtherValue(random, pick(random, VALID)) : pick(random, VALID));
  const isOnlyOtherValue = random() < 0.3;
  for (let left = isOnlyOtherValue ? 0 : 1 + Math.floor(random() * 3); left > 0; left -= 1)
    bytes = pick(random, MUTATIONS)(bytes, random);
  return bytes;
}

type Mutation = (bytes: Buffer, random: Random) => Buffer<ArrayBuffer>;

const place = (bytes: Buffer, random: Random): number => Math.floor(random() * (bytes.length + 1));
const between = (bytes: Buffer, random: Random): [number, number] => {
  const [a, b] = [place(bytes, random), place(bytes, random)];
  return [Math.min(a, b), Math.max(a, b)];
};
const replaced = (bytes: Buffer, from: number, to: number, middle: Uint8Array): Buffer<ArrayBuffer> =>
  Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(to)]);

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const at = place(bytes, random);
    return replaced(bytes, at, at + 1, Buffer.from([(bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))]));
  },
  function insertBytes(bytes, random) {
    const at = place(bytes, random);
    return replaced(bytes, at, at, Buffer.from(Array.from({ length: 1 + random() * 4 }, () => random() * 256)));
  },
  function insertToken(bytes, random) {
    const at = place(bytes, random);
    return replaced(bytes, at, at, Buffer.from(pick(random, TOKENS) as string));
  },
  /** Right behind a mark of JSON, where a token has a meaning. */
  function insertTokenAtMark(bytes, random) {
    const marks = [...bytes.entries()].filter(([, byte]) => '{[,:"'.includes(String.fromCharCode(byte)));
    const at = marks.length === 0 ? 0 : pick(random, marks)[0] + 1;
    return replaced(bytes, at, at, Buffer.from(pick(random, TOKENS) as string));
  },
  function cut(bytes, random) {
    const [from, to] = between(bytes, random);
    return replaced(bytes, from, random() < 0.5 ? Math.min(to, from + 3) : to, Buffer.alloc(0));
  },
  function truncate(bytes, random) {
    return replaced(bytes, place(bytes, random), bytes.length, Buffer.alloc(0));
  },
  function duplicate(bytes, random) {
    const [from, to] = between(bytes, random);
    return replaced(bytes, to, to, bytes.subarray(from, to));
  },
  function splice(bytes, random) {
    const other = Buffer.from(pick(random, VALID));
    const [from, to] = between(other, random);
    const at = place(bytes, random);
    return replaced(bytes, at, at, other.subarray(from, to));
  },
  function addSpace(bytes, random) {
    return Buffer.concat([bytes, Buffer.from(pick(random, [" ", "\n", "\r\n\t", "\u00a0", "\u000c"]))]);
  },
];

/** The same manifest with one value, at any depth, replaced, or one field more. */
function withOtherValue(random: Random, text: string): string {
  const document = JSON.parse(text) as Record<string, unknown>;
  let at: Record<string, unknown> = document;
  for (;;) {
    const key = pick(random, Object.keys(at));
    const value = at[key];
    if (typeof value !== "object" || value === null || Object.keys(value).length === 0 || random() < 0.5) {
      at[random() < 0.1 ? `${key}\u200b` : key] = pick(random, VALUES);
      return JSON.stringify(document);
    }
    at = value as Record<string, unknown>;
  }
}
