/**
 * Secrets at random places in random text, in random encodings, cut at random borders: none is shown, the cuts change
 * no plain line that is held, look-alikes stay, and the time is linear. Only through the door of redaction.
 */
import { expect, test } from "vitest";
import { Redactor } from "../../packages/core/src/audit-log/audit-log.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { LOOKALIKES, SHAPES } from "../support/redaction-corpus.ts";

const COUNT = times({ suite: 2_000, soak: 100_000 });
/** Eight times the text may take at most 24 times as long: linear is 8, quadratic 64. */
const [LENGTH, FACTOR, MAX_RATIO] = [30_000, 8, 24];
/** A window of redaction is 8 KiB: what is quadratic shows inside it, and more text only makes more windows. */
const [SHORT_LINE, LONG_LINE] = [128, 8_160];
/**
 * A stream holds back more than this of a line without an end. Of a longer one the beginning has left before the rest is
 * known: what the rest would have made of it (a word of 1,000 small letters that turns out to be a token, escapes that
 * are dropped with the secret behind them) may differ. No secret is shown either way.
 */
const HELD_LINE = 1_024;
/**
 * Lines that leave together are looked at more closely when one of them hides something; that may change the label of a
 * secret, or how much beside it goes.
 */
const UNSEEN = /[^\P{C}\n\r\t]/u;
const HOSTILE_TEXTS = times({ suite: 8, soak: 500 });

type Random = () => number;
const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const upTo = (random: Random, most: number): number => Math.floor(random() * (most + 1));
const repeat = (count: number, make: () => string): string => Array.from({ length: count }, make).join("");

const ALPHABETS = [
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=",
  "abc 123\"'\\/&?%#<>{}$~`|;:,.-_",
  "aäöß→é😀 漢字0",
].map((letters) => [...letters]);

const ENCODINGS: Record<string, (secret: string) => string> = {
  raw: (secret) => secret,
  base64: (secret) => Buffer.from(secret).toString("base64"),
  base64url: (secret) => Buffer.from(secret).toString("base64url"),
  hex: (secret) => Buffer.from(secret).toString("hex"),
  HEX: (secret) => Buffer.from(secret).toString("hex").toUpperCase(),
  "URL-encoded": (secret) => encodeURIComponent(secret),
  "JSON-escaped": (secret) => JSON.stringify(secret).slice(1, -1),
  // One before the first letter too: half an escape in front of a letter makes it the end of that escape.
  "raw with colours inside": (secret) => [...secret].map((letter) => `\u001b[31m${letter}`).join(""),
};

/** Printed around a secret: words, bytes of anything, colours, marks that redaction looks at, long lines. */
const SURROUNDINGS: readonly ((random: Random) => string)[] = [
  (random) => `${pick(random, ["error", "GET /x", "user", "→", "key", "token", "12:00:01"])} `,
  (random) => repeat(upTo(random, 40), () => String.fromCodePoint(0x20 + upTo(random, 0x5e))),
  (random) => Buffer.from(Array.from({ length: upTo(random, 40) }, () => upTo(random, 255))).toString("utf8"),
  (random) => repeat(upTo(random, 30), () => pick(random, ALPHABETS[3] ?? [])),
  (random) => pick(random, ["\u001b[1m", "\u001b[0m", "\u001b]0;title\u0007", "\u200b", "\r", "\0", "\u001b["]),
  (random) => pick(random, ["\n", "\n\n", "\r\n", "\t", " "]),
  (random) => pick(random, ["password=", "Bearer ", "https://u:", "eyJ", '"', "'", "=", "--token ", "@", "sk-", "%"]),
  (random) => "x".repeat(upTo(random, 3_000)),
  (random) => repeat(upTo(random, 400), () => "word "),
];

const surroundings = (random: Random): string => repeat(upTo(random, 6), () => pick(random, SURROUNDINGS)(random));

/** At random borders, some of them close together, between UTF-16 units. */
function inPieces(random: Random, text: string): string[] {
  const cuts = Array.from({ length: upTo(random, 12) }, () => upTo(random, text.length));
  const close = random() < 0.5 ? [] : Array.from({ length: 8 }, (_, index) => (cuts[0] ?? 0) + index);
  const places = [0, ...[...cuts, ...close].toSorted((a, b) => a - b), text.length];
  return places.slice(1).map((place, index) => text.slice(places[index], place));
}

function through(redactor: Redactor, pieces: readonly string[]): string {
  const stream = redactor.stream();
  return pieces.map((piece) => stream.push(piece)).join("") + stream.flush();
}

/** Runs `check` COUNT times; a failure names seed, turn and text. */
function expectNoFault(check: (random: Random) => { text: string; fault: string | undefined }): void {
  const random = randomNumbers();
  for (let turn = 0; turn < COUNT; turn += 1) {
    const { text, fault } = check(random);
    if (fault !== undefined)
      throw new Error(
        `seed ${seed}, turn ${turn}: ${fault}; the text in base64: ${Buffer.from(text).toString("base64")}`,
      );
  }
}

/** What is wrong with how a text is redacted, whole and in pieces. */
function faultOf(redactor: Redactor, random: Random, text: string, secrets: readonly string[]): string | undefined {
  const whole = redactor.text(text);
  const pieces = inPieces(random, text);
  const pieced = through(redactor, pieces);
  for (const output of [whole, pieced])
    for (const secret of secrets)
      if (output.includes(secret) || visible(output).includes(secret)) return `${JSON.stringify(secret)} is shown`;
  if (pieced === whole || UNSEEN.test(text) || text.split("\n").some((line) => line.length > HELD_LINE))
    return undefined;
  let at = 0;
  while (whole[at] === pieced[at]) at += 1;
  const around = (output: string): string => JSON.stringify(output.slice(Math.max(0, at - 60), at + 60));
  const lengths = pieces.map((piece) => piece.length).join("+");
  return `pieces of ${lengths} change the output at ${at} from ${around(whole)} to ${around(pieced)}`;
}

const visible = (text: string): string => text.replaceAll(/\u001b\[[0-9;]*m/g, "");

test(`a live secret in any encoding, anywhere, cut anywhere, is not shown (${COUNT} texts)`, () => {
  const planted = new Map<string, number>();
  expectNoFault((random) => {
    const secret = repeat(
      8 + upTo(random, 40),
      (
        (letters) => () =>
          pick(random, letters)
      )(pick(random, ALPHABETS)),
    );
    const redactor = new Redactor();
    redactor.protect(secret, "live");
    const encoding = pick(random, Object.keys(ENCODINGS));
    planted.set(encoding, (planted.get(encoding) ?? 0) + 1);
    const form = ENCODINGS[encoding]?.(secret) ?? "";
    const text = `${surroundings(random)}${form}${surroundings(random)}`;
    return { text, fault: faultOf(redactor, random, text, [visible(form)]) };
  });
  expect([...planted.keys()].toSorted()).toEqual(Object.keys(ENCODINGS).toSorted());
  found(
    `${COUNT} live secrets in ${planted.size} encodings at random places and cuts`,
    "0 shown; cuts change no plain line up to 1 KiB",
  );
});

test(`a credential of every known shape, anywhere, cut anywhere, is not shown (${COUNT} texts)`, () => {
  const redactor = new Redactor();
  const planted = new Set<string>();
  expectNoFault((random) => {
    const shape = pick(random, SHAPES);
    planted.add(shape.name);
    const [before, after] = [pick(random, ["\n", "\n  ", "\t\n"]), pick(random, ["\n", "\r\n", "\n\n"])];
    const text = `${surroundings(random)}${before}${shape.text}${after}${surroundings(random)}`;
    return { text, fault: faultOf(redactor, random, text, shape.secrets) };
  });
  expect(planted.size).toBe(SHAPES.length);
  found(
    `${COUNT} credentials of ${planted.size} shapes at random places and cuts`,
    "0 shown; cuts change no plain line up to 1 KiB",
  );
});

test(`look-alikes stay as they are, in any order and cut anywhere (${COUNT} texts)`, () => {
  const redactor = new Redactor();
  expectNoFault((random) => {
    const words = (): string =>
      repeat(upTo(random, 3), () => pick(random, ["started ", "ü ", "\u001b[32mok\u001b[0m "]));
    const lines = Array.from({ length: 1 + upTo(random, 8) }, () => `${words()}\n${pick(random, LOOKALIKES)}\n`);
    const text = lines.join("");
    const shown = through(redactor, inPieces(random, text));
    return { text, fault: shown === text ? undefined : `${JSON.stringify(shown)} is shown` };
  });
  found(`${COUNT} texts of ${LOOKALIKES.length} look-alikes`, "0 redacted");
});

test("text that repeats what redaction looks for takes linear time", () => {
  const random = randomNumbers();
  const marks = [
    "eyJ",
    "password=",
    "://a:",
    "-----BEGIN ",
    "key-",
    "Bearer ",
    "\u001b[",
    'token\\"',
    "a.",
    "=",
    "sk-",
  ];
  const more = ["--token ", "<password>", "\u001b]", "-----BEGIN PRIVATE KEY-----", "\n", "\\", "\u200b", "@", "AKIA"];
  const names = ["cookie: ", "Cookie:x ", "authorization: ", "token={", "}}}}", "token:&;&;", "eyJ-", '"', "${"];
  const all = [...marks, ...more, ...names];
  const redactor = new Redactor();
  redactor.protect("a-live-secret", "live");
  let worst = 0;
  for (let index = 0; index < all.length + HOSTILE_TEXTS; index += 1) {
    const piece = all[index] ?? repeat(1 + upTo(random, 4), () => pick(random, all));
    // Nor may a line of the length of a window take longer than its text in many lines.
    const ratio = Math.max(timeRatio(redactor, piece), lineRatio(redactor, piece));
    worst = Math.max(worst, ratio);
    expect(ratio, `seed ${seed}, repeated ${JSON.stringify(piece)}`).toBeLessThan(MAX_RATIO);
  }
  const share = worst.toFixed(1);
  found(`${all.length + HOSTILE_TEXTS} adversarial texts, ${FACTOR} times as long`, `at most ${share} times as long`);
});

/** How much more time of the processor the longer text takes. */
function timeRatio(redactor: Redactor, piece: string): number {
  return ratioOf(
    redactor,
    [LENGTH, LENGTH * FACTOR].map((length) => piece.repeat(Math.ceil(length / piece.length))),
  );
}

/** How much more time the same text takes in long lines than in short ones, in the same measure. */
function lineRatio(redactor: Redactor, piece: string): number {
  const [short, long] = [SHORT_LINE, LONG_LINE].map((length) => {
    const line = `${piece.repeat(Math.ceil(length / piece.length))}\n`;
    return line.repeat(Math.ceil((LONG_LINE * 4) / line.length));
  });
  return ratioOf(redactor, [short ?? "", long ?? ""]);
}

/** Each time is the least of a few turns. */
function ratioOf(redactor: Redactor, texts: readonly string[]): number {
  const least = texts.map(() => Infinity);
  // The first compilation and a collection of garbage only add: another turn, as long as that may be it.
  for (let turn = 0; turn < 2 || (turn < 15 && (least[1] ?? 0) / (least[0] ?? 1) >= MAX_RATIO); turn += 1)
    for (const [index, text] of texts.entries()) {
      const before = process.threadCpuUsage();
      redactor.text(text);
      const { user, system } = process.threadCpuUsage(before);
      least[index] = Math.min(least[index] ?? Infinity, (user + system) / 1_000);
    }
  // Below a few milliseconds it is the clock that is measured.
  return (least[1] ?? 0) / Math.max(least[0] ?? 0, 3);
}
