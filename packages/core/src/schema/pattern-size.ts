/** How large a pattern becomes when it is written out, counted on its text, before an engine sees it. */

/** What a class of Unicode characters counts for: the engine knows it as hundreds of ranges. */
const CLASS_SIZE = 50;
/** Characters of a class that count as one instruction. */
const CLASS_CHARACTERS = 16;
/** What a range counts for where case means nothing, since the engine looks at each of its characters; and one beyond ASCII. */
const FOLDED_RANGE = 10;
const WIDE_FOLDED_RANGE = 1_500;

/** One thing of a pattern: an escape, a class, the begin or end of a group, a counted repetition, a character. */
const TOKEN =
  /\\(?:[pP](?:\{[^}]{0,60}\}|[\s\S])|x\{[^}]{0,10}\}|[\s\S])|\[\^?\]?(?:\\[\s\S]|\[:\^?[a-z]+:\]|[^\]\\])*\]|\(|\)|\{\d+(?:,\d*)?\}|[\s\S]/g;
/** Whether case may mean nothing in some of it. */
const FOLDS = /\(\?[a-zA-Z]*i/;
/** In a class, a range one of whose ends may be no plain ASCII character. */
const WIDE_RANGE = /(?:[^\0-\x7f]|\\x\{[^}]{0,10}\}|\\[\s\S]\w*)-|-(?:[^\0-\x7f]|\\)/g;

export type PatternSize = {
  /** In instructions; never less than what the engine makes of it, up to a factor. */
  program: number;
  /** The most characters that are looked at before the end is known; `Infinity` where nothing bounds them. */
  longest: number;
};

/** Throws an Error for what cannot be counted. */
export function sizeOf(source: string): PatternSize {
  if (/(?:^|[^\\])(?:\\\\)*\\Q/.test(source))
    throw new Error("it quotes with \\Q; write each character with its own \\");
  const isFolded = FOLDS.test(source);
  const groups: Part[] = [];
  let whole: Part = NOTHING;
  let last: Part = NOTHING;
  // Where the begin of the text must stand, the engine stops when nothing can match any more.
  let isAnchored = /^\^(?![*?+{])/.test(source);
  for (const [token] of source.matchAll(TOKEN)) {
    if (token === "[") throw new Error("one of its classes does not end");
    if (token === "(") {
      groups.push(whole);
      whole = { program: 1, longest: 0 };
      last = NOTHING;
    } else if (token === ")") {
      last = { program: whole.program + 1, longest: whole.longest };
      whole = plus(groups.pop() ?? NOTHING, last);
    } else if (/^\{\d/.test(token)) {
      const again = timesLess(last, token);
      whole = plus(whole, again);
      last = plus(last, again);
    } else {
      if (token === "|" && groups.length === 0) isAnchored = false;
      last = { program: programOf(token, isFolded), longest: token === "*" || token === "+" ? Infinity : 1 };
      whole = plus(whole, last);
    }
  }
  const { program } = groups.reduce(plus, whole);
  return { program, longest: isAnchored ? whole.longest : Infinity };
}

type Part = Readonly<PatternSize>;
const NOTHING: Part = { program: 0, longest: 0 };

function plus(a: Part, b: Part): Part {
  return { program: a.program + b.program, longest: a.longest + b.longest };
}

/** What a counted repetition adds to the one time that stands there. */
function timesLess(part: Part, token: string): Part {
  const times = Math.max(...(token.match(/\d+/g) ?? ["1"]).map(Number), 1);
  if (token.endsWith(",}")) return { program: part.program * (times - 1), longest: Infinity };
  return times === 1 ? NOTHING : { program: part.program * (times - 1), longest: part.longest * (times - 1) };
}

function programOf(token: string, isFolded: boolean): number {
  const classes = (token.match(/\\[pP]/g)?.length ?? 0) * (isFolded ? 2 : 1);
  const program = 1 + CLASS_SIZE * classes + Math.floor(token.length / CLASS_CHARACTERS);
  if (!isFolded || !token.startsWith("[")) return program;
  const wide = token.match(WIDE_RANGE)?.length ?? 0;
  return program + WIDE_FOLDED_RANGE * wide + FOLDED_RANGE * (token.split("-").length - 1);
}
