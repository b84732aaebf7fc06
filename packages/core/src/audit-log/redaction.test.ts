import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Redactor } from "./redaction.ts";

const SECRET = 'k3/Zq+9x ü"Lm0-Pw_7';

function formsOf(value: string): Record<string, string> {
  const bytes = Buffer.from(value);
  return {
    raw: value,
    base64: bytes.toString("base64"),
    "base64 without padding": bytes.toString("base64").replace(/=+$/, ""),
    base64url: bytes.toString("base64url"),
    hex: bytes.toString("hex"),
    HEX: bytes.toString("hex").toUpperCase(),
    "URL-encoded": encodeURIComponent(value),
    "JSON-escaped": JSON.stringify(value).slice(1, -1),
  };
}

function protectedRedactor(value = SECRET): Redactor {
  const redactor = new Redactor();
  redactor.protect(value, "session_token");
  return redactor;
}

function through(redactor: Redactor, pieces: readonly string[]): string {
  const stream = redactor.stream();
  return pieces.map((piece) => stream.push(piece)).join("") + stream.flush();
}

describe("live secrets", () => {
  for (const [name, form] of Object.entries(formsOf(SECRET))) {
    test(`${name}: redacted at every split over two pushes, within a line and in a line without end`, () => {
      const redactor = protectedRedactor();
      for (const [before, after] of [
        ["> ", " <\nnext\n"],
        ["x".repeat(2000), "y".repeat(2000)],
      ] as const)
        for (let cut = 0; cut <= form.length; cut += 1) {
          const shown = through(redactor, [before + form.slice(0, cut), form.slice(cut) + after]);
          expect(shown).toBe(`${before}[redacted:session_token]${after}`);
        }
    });

    test(`${name}: redacted at every split over three pushes`, () => {
      const redactor = protectedRedactor();
      const before = "x".repeat(1500);
      for (let first = 0; first <= form.length; first += 1)
        for (let second = first; second <= form.length; second += 1) {
          const shown = through(redactor, [
            before + form.slice(0, first),
            form.slice(first, second),
            `${form.slice(second)} end\n`,
          ]);
          expect(shown).toBe(`${before}[redacted:session_token] end\n`);
        }
    });
  }

  test("are found inside the base64 of a longer text at each alignment", () => {
    const redactor = protectedRedactor("0123456789abcdefghij");
    for (const before of ["", "a", "ab", "abc"])
      expect(redactor.text(Buffer.from(`${before}0123456789abcdefghijxyz`).toString("base64"))).toContain(
        "[redacted:session_token]",
      );
  });

  test("are forgotten when the last holder lets go, and values under 8 bytes are ignored", () => {
    const redactor = new Redactor();
    const first = redactor.protect("abcdefgh12", "a");
    const second = redactor.protect("abcdefgh12", "a");
    first();
    first();
    expect(redactor.text("abcdefgh12")).toBe("[redacted:a]");
    second();
    expect(redactor.text("abcdefgh12")).toBe("abcdefgh12");
    redactor.protect("1234567", "short")();
    redactor.protect("1234567", "short");
    expect(redactor.text("1234567")).toBe("1234567");
    redactor.protect("äöüß", "eight bytes");
    expect(redactor.text("äöüß")).toBe("[redacted:eight_bytes]");
  });

  test("with line breaks are found at every split", () => {
    const value = "first-7\nsecond\nthird-line-is-long";
    const redactor = protectedRedactor(value);
    for (let cut = 0; cut <= value.length; cut += 1) {
      const shown = through(redactor, [`a\nb ${value.slice(0, cut)}`, `${value.slice(cut)} c\n`]);
      expect(shown).toBe("a\nb [redacted:session_token] c\n");
    }
  });

  test("that are very long are found in pieces", () => {
    const value = Array.from({ length: 2000 }, (_, index) => `w${index}`).join("");
    const redactor = protectedRedactor(value);
    for (const form of [value, Buffer.from(value).toString("base64"), Buffer.from(value).toString("hex")])
      expect(redactor.text(`a ${form} b`)).toMatch(/^a (?:\[redacted:session_token\])+\S{0,24} b$/);
  });

  test("are found as encoders of URLs, of JSON and of quoted text write them, and trimmed", () => {
    const printed: Record<string, string[]> = {
      "p@ss!wor(d)x": ["p%40ss%21wor%28d%29x", "p%40ss!wor(d)x"],
      "ab/cd+efgh=": ["ab/cd%2Befgh%3D", "ab%2fcd%2befgh%3d"],
      "ab cd~efgh!": ["ab+cd%7Eefgh%21", "ab+cd~efgh%21", "ab%20cd~efgh%21"],
      "ab<cd&efgh": ["ab\\u003ccd\\u0026efgh", "ab\\u003Ccd\\u0026efgh"],
      "ab\"cd+ef'gh": ["ab\\u0022cd\\u002Bef\\u0027gh"],
      abécdéfghi: ["ab\\u00E9cd\\u00E9fghi", "ab\\u00e9cd\\u00e9fghi"],
      "it's-a-secret": ["it\\'s-a-secret", "it'\\''s-a-secret", `it'"'"'s-a-secret`],
      "hunter2hunt12\n": ["hunter2hunt12"],
      " hunter2hunt12\r": ["hunter2hunt12"],
      "line-one-aa\nline-two-bb": ["line-one-aa\r\nline-two-bb", "line-one-aa", "line-two-bb"],
      "line-one-aa\r\nline-two-bb": ["line-one-aa\nline-two-bb"],
    };
    for (const [value, forms] of Object.entries(printed))
      for (const form of forms)
        expect(protectedRedactor(value).text(`> ${form} <\n`)).toBe("> [redacted:session_token] <\n");
  });

  test("that are a little longer than a piece are found to their end", () => {
    for (const more of [1, 5, 7, 8]) {
      const value = `${"A1b2".repeat(1_023)}xyz${"T41L!T4".slice(0, more)}`;
      for (const form of [value, Buffer.from(value).toString("hex"), Buffer.from(value).toString("base64")])
        expect(protectedRedactor(value).text(`a ${form} b`)).toMatch(/^a (?:\[redacted:session_token\])+=* b$/);
    }
  });

  test("that overlap go both", () => {
    const redactor = protectedRedactor("AAAABBBBCCCC");
    redactor.protect("CCCCDDDDEEEE", "other");
    expect(redactor.text("xAAAABBBBCCCCDDDDEEEEy")).toBe("x[redacted:session_token]y");
  });
});

test("finds secrets behind escapes and zero-width characters", () => {
  const redactor = protectedRedactor("hunter22-live");
  expect(redactor.text("a\x1b[31mhun\x1b[0mter22\u200b-li\u2060ve z\n")).toBe("a[redacted:session_token] z\n");
  expect(redactor.text("\x1b[1mpass\x1b[0mword\x1b[2m=\x1b[0mqwerty1 z\n")).toBe("password=[redacted:password] z\n");
  expect(redactor.text("\x1b]8;;https://u:hunter3@host\x07link\x1b]8;;\x07\n")).not.toContain("hunter3");
  expect(redactor.text("ghp_\x0016C7e42F292c6912E7710c838347Ae178B4a")).toBe("[redacted:github_token]");
  // Colours stay where nothing is hidden behind them.
  expect(redactor.text("\x1b[32mok\x1b[0m hunter22-live\n\x1b[33mplain\x1b[0m\n")).toBe(
    "\x1b[32mok\x1b[0m [redacted:session_token]\n\x1b[33mplain\x1b[0m\n",
  );
});

test("finds secrets behind every character that is not displayed and every kind of escape", () => {
  const unseen = ["\ufff0", "\ufff9", "\u2028", "\u2800", "\u{1bca0}", "\u{1d173}", "\u{e0400}", "\u{e0041}"];
  const cutOff = ["\x1b]0;x\x18", "\x1b]0;x\x9c", "\x1b[3\x18", "\x1b[3\x001m", "\x9d0;x\x07", "\x9d"];
  for (const hidden of [...unseen, ...cutOff, `\x1b[${"0;".repeat(40)}m`])
    expect(protectedRedactor("hunter2hunter2").text(`hunter2${hidden}hunter2\n`), JSON.stringify(hidden)).toBe(
      "[redacted:session_token]\n",
    );
});

describe("a stream", () => {
  test("gives whole lines at once and ordinary text unchanged", () => {
    const stream = new Redactor().stream();
    expect(stream.push("one\ntwo\nthr")).toBe("one\ntwo\n");
    expect(stream.push("ee\n")).toBe("three\n");
    expect(stream.push("x".repeat(10_000)).length).toBeGreaterThan(8000);
    expect(stream.flush().length).toBeLessThan(2000);
  });

  test("gives the same whatever the splits", () => {
    const token = `gh${"p_16C7e42F292c6912E7710c838347Ae178B4a"}`;
    const text = `a password=hunter2 b\n${"z".repeat(1500)} api_key: "${"q1w2".repeat(60)}" ${token}\nhttps://u:pw12@h/ ${"é→😀".repeat(500)}\n`;
    const whole = new Redactor().text(text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        const pieces = places.slice(1).map((place, index) => text.slice(places[index], place));
        expect(through(new Redactor(), pieces)).toBe(whole);
      }),
    );
  });

  test("drops a value without an end as long as it goes on", () => {
    const stream = new Redactor().stream();
    let shown = stream.push(`start password=${"A".repeat(5000)}`);
    for (let count = 0; count < 50; count += 1) shown += stream.push("A".repeat(5000));
    shown += stream.push("A visible\n") + stream.flush();
    expect(shown).toBe("start password=[redacted:password] visible\n");
  });

  test("follows a private key over any splits", () => {
    const body = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7";
    const text = `before\n-----BEGIN PRIV${"ATE KEY"}-----\n${body}\n${body}\n-----END PRIVATE KEY-----\nafter\n`;
    for (let cut = 0; cut <= text.length; cut += 1)
      expect(through(new Redactor(), [text.slice(0, cut), text.slice(cut)])).toBe(
        "before\n[redacted:private_key]\nafter\n",
      );
  });

  test("gives up a private key without an end", () => {
    const line = `${"abcdEFGH".repeat(8)}\n`;
    const shown = through(new Redactor(), [`-----BEGIN PRIV${"ATE KEY"}-----\n`, line.repeat(250)]);
    expect(shown.startsWith("[redacted:private_key]\n")).toBe(true);
    expect(shown.split("\n").length).toBeGreaterThan(45);
    expect(shown.split("\n").length).toBeLessThan(60);
    const prose = Array.from({ length: 30 }, (_, index) => `line ${index} says more`).join("\n");
    expect(through(new Redactor(), [`-----BEGIN PRIV${"ATE KEY"}-----\n`, `${prose}\n`])).toBe(
      `[redacted:private_key]\n${prose}\n`,
    );
    const endless = new Redactor().stream();
    let length = 0;
    endless.push(`-----BEGIN PRIV${"ATE KEY"}-----\n`);
    for (let count = 0; count < 40; count += 1) length += endless.push("x".repeat(5000)).length;
    expect(length).toBeGreaterThan(50_000);
  });
});

describe("patterns", () => {
  test("find credentials anywhere in a very long line", () => {
    const redactor = new Redactor();
    const token = `gh${"p_16C7e42F292c6912E7710c838347Ae178B4a"}`;
    for (const before of [0, 7000, 8150, 8180, 8192, 20_000, 65_536]) {
      const shown = redactor.text(`${"x ".repeat(before / 2)}${token} ${"y ".repeat(5000)}\n`);
      expect(shown).toContain("[redacted:github_token] y");
      expect(shown).not.toContain("E7710c838347Ae178B4a");
    }
    const long = `eyJhbGciOiJIUzI1NiJ9.eyJ${"a1B2".repeat(1500)}.sig`;
    expect(redactor.text(`${"x ".repeat(3500)}${long} end\n`)).toMatch(/^(x )+\[redacted:jwt\] end\n$/);
  });

  test("take linear time on hostile text", () => {
    const redactor = new Redactor();
    const hostile = [
      "eyJ",
      "password=",
      "://a:",
      "-----BEGIN ",
      "key-",
      "Bearer ",
      "\x1b[",
      'token\\"',
      "a.",
      "=",
      "--token ",
      "<password>",
      "\x1b]",
    ];
    const started = performance.now();
    for (const piece of hostile) redactor.text(piece.repeat(Math.ceil(200_000 / piece.length)));
    // Quadratic behaviour would take minutes; the bound is wide because the machine may be busy.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

test("a live secret right before a telling name is shown neither by a cut nor by the label", () => {
  const hex = Buffer.from(SECRET).toString("hex").toUpperCase();
  for (const form of [SECRET, hex, Buffer.from("abcdefgh12345678".repeat(2)).toString("hex")]) {
    const redactor = protectedRedactor();
    redactor.protect("abcdefgh12345678".repeat(2), "other");
    const text = `${"x".repeat(5400)}${form}password=${"x".repeat(2800)}`;
    for (const pieces of [[text], [text.slice(0, 5500), text.slice(5500)], [...text]])
      expect(through(redactor, pieces)).not.toContain(form.slice(0, 16));
  }
});

test("many private keys take linear time", () => {
  const begin = `-----BEGIN PRIV${"ATE KEY"}-----\n`;
  const pieces = [
    begin,
    `\u001b]${begin}-----BEGIN `,
    `${begin}${"!\n".repeat(8)}`,
    `${begin}${begin.replace("BEGIN", "END")}`,
  ];
  const cost = (text: string): number => {
    const before = process.threadCpuUsage();
    new Redactor().text(text);
    return process.threadCpuUsage(before).user;
  };
  for (const piece of pieces) {
    const [short, long] = [30_000, 240_000].map((length) => {
      const text = piece.repeat(length / piece.length);
      return Math.min(cost(text), cost(text), cost(text));
    });
    // Eight times the text: eight times the work, or 64 times where what follows each key is copied.
    expect((long ?? 0) / Math.max(short ?? 0, 3_000), JSON.stringify(piece)).toBeLessThan(24);
  }
}, 30_000);

/** CPU time in µs, the least of three turns: the first compiles, and others may collect garbage. */
function cpuOf(work: () => void): number {
  const turns = [0, 1, 2].map(() => {
    const before = process.threadCpuUsage();
    work();
    return process.threadCpuUsage(before).user;
  });
  return Math.min(...turns);
}

test("names without a secret take linear time", () => {
  const units = ["cookie: ", "Cookie:x ", "authorization: ", "token={", "token={}}", "token:&;&;", "eyJ-", "token=.."];
  for (const unit of [...units, "--token {", 'key="{ ', "token=${"])
    for (const hidden of ["", "\u200b"]) {
      const [short, long] = [255, 8_160].map((length) => {
        const line = `${unit.repeat(length / unit.length)}${hidden}\n`;
        return cpuOf(() => new Redactor().text(line.repeat(24_480 / length)));
      });
      // As much text: as much work, or 32 times where each name reads on to the end of its line.
      expect((long ?? 0) / Math.max(short ?? 0, 2_000), JSON.stringify(unit + hidden)).toBeLessThan(8);
    }
  const closed = `${"token={".repeat(580)}${"}".repeat(4_096)}\n`.repeat(3);
  expect(cpuOf(() => new Redactor().text(closed))).toBeLessThan(
    12 *
      Math.max(
        10_000,
        cpuOf(() => new Redactor().text("token={}} \n".repeat(2_400))),
      ),
  );
}, 60_000);

test("values that are refused are read again for the names inside them", () => {
  const redactor = new Redactor();
  for (const before of ["token={", "cookie: ", "authorization: no, ", "token:", "--token {"])
    for (const times of [1, 5, 200]) {
      const shown = redactor.text(`${before.repeat(times)} password=hunter2hunter ${"z".repeat(600)}\n`);
      expect(shown, before).not.toContain("hunter2hunter");
    }
});

test("one character a time takes linear time", () => {
  const begin = `-----BEGIN PRIV${"ATE KEY"}-----\n`;
  for (const [before, unit] of [
    ["", "\u200bcookie: "],
    ["", "\u001b[32mok \u001b[0m"],
    ["password=", "A"],
    [begin, "\u200b- "],
    [`${begin}${"!".repeat(8_000)}\n`.repeat(5), "!"],
  ] as const) {
    const perCharacter = [1_000, 8_000].map((length) => {
      const letters = [...unit.repeat(length / unit.length)];
      const cpu = cpuOf(() => {
        const stream = protectedRedactor().stream();
        stream.push(before);
        for (const letter of letters) stream.push(letter);
      });
      return Math.max(cpu, 2_000) / length;
    });
    // Eight times the text: as much work for each character, or 8 times where all that waits is read for each.
    expect((perCharacter[1] ?? 0) / (perCharacter[0] ?? 1), JSON.stringify(unit)).toBeLessThan(6);
  }
}, 60_000);

describe("metadata", () => {
  test("loses the values of secret-looking keys and the secrets in strings", () => {
    const redactor = protectedRedactor("hunter22-live");
    expect(
      redactor.metadata({
        agent: "x",
        api_key: "v",
        nested: { clientSecret: { a: 1 }, list: ["hunter22-live", 5, null, true] },
        token_count: 5,
        needs_token: true,
        at: new Date(0),
        skip: undefined,
      }),
    ).toEqual({
      agent: "x",
      api_key: "[redacted:key]",
      nested: { clientSecret: "[redacted:key]", list: ["[redacted:session_token]", 5, null, true] },
      token_count: 5,
      needs_token: true,
      at: "1970-01-01T00:00:00.000Z",
    });
  });

  test("stays within 8 KiB and ends in circles", () => {
    const redactor = new Redactor();
    const circle: Record<string, unknown> = { name: "n" };
    circle["self"] = circle;
    expect(JSON.stringify(redactor.metadata(circle))).toContain("[too deep]");
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withDate: true, withBigInt: true, maxDepth: 8 })),
        (value) => {
          expect(Buffer.byteLength(JSON.stringify(redactor.metadata(value)))).toBeLessThanOrEqual(8192);
        },
      ),
    );
    const big = redactor.metadata({
      a: "\u0001".repeat(5000),
      b: Array.from({ length: 5000 }, (_, index) => `entry ${index}`),
      c: "x".repeat(9000),
      d: "y".repeat(9000),
    });
    expect(Buffer.byteLength(JSON.stringify(big))).toBeLessThanOrEqual(8192);
    expect(big["_truncated"]).toBe(true);
  });
});
