import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { comparePermissions, diffPermissions, isPureNarrowing } from "./compare.ts";
import { matchesHost } from "./host-pattern.ts";
import { matchesPath } from "./path-pattern.ts";
import { matchesTool } from "./tool-pattern.ts";

const OPPOSITE = { equal: "equal", wider: "narrower", narrower: "wider", unrelated: "unrelated" } as const;

describe("comparePermissions", () => {
  test.each([
    ["filesystem:read:/a/**", "filesystem:read:/a/b"],
    ["filesystem:read:/a/**", "filesystem:read:/a"],
    ["filesystem:read:/a/*", "filesystem:read:/a/b*c"],
    ["filesystem:read:/x/**/*", "filesystem:read:/x/**/x"],
    ["filesystem:read:/**", "filesystem:read:~/x/**"],
    ["filesystem:read:~/**", "filesystem:read:~"],
    ["filesystem:write:/a", "filesystem:read:/a"],
    ["filesystem:write:/a/**", "filesystem:read:/a/b/*"],
    ["network:egress:*", "network:egress:example.com"],
    ["network:egress:*", "network:egress:*:443"],
    ["network:egress:*.example.com", "network:egress:a.b.example.com:8080"],
    ["network:egress:*.com", "network:egress:*.example.com"],
    ["network:egress:example.com", "network:egress:EXAMPLE.com.:443"],
    ["tool:invoke:*/*", "tool:invoke:com.a.b/*"],
    ["tool:invoke:*/search", "tool:invoke:com.a.b/search"],
  ])("%s is wider than %s", (a, b) => {
    expect(comparePermissions(a, b)).toBe("wider");
    expect(comparePermissions(b, a)).toBe("narrower");
  });

  test.each([
    ["filesystem:read:/a//b/./c", "filesystem:read:/a/b/x/../c/"],
    ["filesystem:read:/**/*", "filesystem:read:/*/**"],
    ["filesystem:read:/a/**/**", "filesystem:read:/a/**"],
    ["network:egress:127.1", "network:egress:127.0.0.1"],
    ["network:egress:[0:0::1]", "network:egress:::1"],
    ["clipboard:read", "clipboard:read"],
  ])("%s covers the same as %s", (a, b) => {
    expect(comparePermissions(a, b)).toBe("equal");
  });

  test.each([
    ["filesystem:read:/a/**", "filesystem:write:/a/b"],
    ["filesystem:read:/a/*", "filesystem:read:/*/a"],
    ["filesystem:read:~/**", "filesystem:read:/home/ada/x"],
    ["filesystem:read:~/x/**", "filesystem:read:~/x/../../etc"],
    ["filesystem:read:/**", "filesystem:read:relative"],
    ["network:egress:*.example.com", "network:egress:example.com"],
    ["network:egress:*.example.com:443", "network:egress:a.example.com"],
    ["network:egress:*", "network:egress:https://example.com/"],
    ["env:read:PATH", "env:read:PATHS"],
    ["env:read:*", "env:read:PATH"],
    ["tool:invoke:*/search", "tool:invoke:com.a.b/*"],
    ["event:publish:a.*", "event:publish:a.b"],
    ["clipboard:*", "clipboard:read"],
    ["clipboard:read:**", "clipboard:read:x"],
  ])("%s says nothing about %s", (a, b) => {
    expect(comparePermissions(a, b)).toBe("unrelated");
  });

  test("a known home puts paths below it in relation", () => {
    expect(comparePermissions("filesystem:read:~/**", "filesystem:read:/home/ada/x", "/home/ada")).toBe("wider");
    expect(comparePermissions("filesystem:read:~/**", "filesystem:read:/home/bob/x", "/home/ada")).toBe("unrelated");
  });

  test("is antisymmetric, and equal to itself", () => {
    fc.assert(
      fc.property(permission, permission, (a, b) => {
        expect(comparePermissions(b, a)).toBe(OPPOSITE[comparePermissions(a, b)]);
        expect(comparePermissions(a, a)).toBe("equal");
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  test("is transitive: what is wider than something wider is wider, through equals too", () => {
    const relations = new Set<string>();
    fc.assert(
      fc.property(fc.uniqueArray(related, { minLength: 12, maxLength: 12 }), (list) => {
        const table = list.map((a) => list.map((b) => comparePermissions(a, b)));
        const atLeast = (a: number, b: number): boolean => ["wider", "equal"].includes(table[a]?.[b] ?? "");
        for (const [a] of list.entries())
          for (const [b] of list.entries())
            for (const [c] of list.entries()) {
              if (a === b || b === c || !atLeast(a, b) || !atLeast(b, c)) continue;
              const chain = `${table[a]?.[b]} ${table[b]?.[c]}`;
              relations.add(chain);
              expect(table[a]?.[c]).toBe(chain === "equal equal" ? "equal" : "wider");
            }
      }),
      { numRuns: 300, seed: 7 },
    );
    // It must have seen every kind of chain.
    expect([...relations].toSorted()).toEqual(["equal equal", "equal wider", "wider equal", "wider wider"]);
  });

  test("agrees with what is matched: the wider one covers all that the narrower covers, and equals cover the same", () => {
    const seen = { covered: 0, wider: 0 };
    fc.assert(
      fc.property(related, related, thing, (a, b, one) => {
        const [byA, byB] = [covers(a, one), covers(b, one)];
        if (byB) seen.covered += 1;
        const is = comparePermissions(a, b);
        if (is === "wider" && byB) seen.wider += 1;
        if (is === "wider") expect(byA || !byB).toBe(true);
        if (is === "narrower") expect(byB || !byA).toBe(true);
        if (is === "equal") expect(byA).toBe(byB);
      }),
      { numRuns: 20_000, seed: 7 },
    );
    expect(seen.covered).toBeGreaterThan(500);
    expect(seen.wider).toBeGreaterThan(30);
  });
});

const part = fc.constantFrom("a", "*", "**", "..", "x*", "");
const permission = fc.oneof(
  fc
    .tuple(fc.constantFrom("read:/", "write:/", "read:~/"), fc.array(part, { maxLength: 4 }))
    .map(([head, parts]) => `filesystem:${head}${parts.join("/")}`),
  fc
    .tuple(fc.constantFrom("*", "*.a.b", "a.b", "c.a.b", "10.1", "[::1]"), fc.constantFrom("", ":80", ":x"))
    .map(([host, port]) => `network:egress:${host}${port}`),
  fc
    .tuple(fc.constantFrom("*", "a.b"), fc.constantFrom("*", "t", "t/u"))
    .map(([agent, tool]) => `tool:invoke:${agent}/${tool}`),
  fc.string(),
);

/** From so few words that two of them often have to do with each other. */
const related = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("read", "read", "write"),
      fc.constantFrom("/", "/", "~/"),
      fc.array(fc.constantFrom("a", "b", "*", "a*", "**"), { maxLength: 3 }),
    )
    .map(([action, root, parts]) => `filesystem:${action}:${root}${parts.join("/")}`),
  fc
    .tuple(fc.constantFrom("*", "*.b", "*.a.b", "a.b", "A.B.", "c.a.b", "10.1", "10.0.0.1"), fc.constantFrom("", ":80"))
    .map(([host, port]) => `network:egress:${host}${port}`),
  fc
    .tuple(fc.constantFrom("*", "a.b", "c.d"), fc.constantFrom("*", "t", "u"))
    .map(([agent, tool]) => `tool:invoke:${agent}/${tool}`),
);

type Thing = { kind: "read" | "write" | "egress" | "invoke"; name: string; port: number };
/** Something that an agent might touch: a path, a host with its port, a tool. */
const thing: fc.Arbitrary<Thing> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("read" as const, "write" as const),
    name: fc
      .tuple(
        fc.constantFrom("/", "/", "/home/ada/", "/home/bob/"),
        fc.array(fc.constantFrom("a", "b", "ab", "c", ".."), { maxLength: 3 }),
      )
      .map(([root, parts]) => root + parts.join("/")),
    port: fc.constant(0),
  }),
  fc.record({
    kind: fc.constant("egress" as const),
    name: fc.constantFrom("a.b", "c.a.b", "d.c.a.b", "xa.b", "b", "10.0.0.1", "0xa.1", "::1"),
    port: fc.constantFrom(80, 443),
  }),
  fc.record({
    kind: fc.constant("invoke" as const),
    name: fc.constantFrom("a.b/t", "a.b/u", "c.d/t", "e.f/v"),
    port: fc.constant(0),
  }),
);

/** What enforcement would say, by the matchers alone. */
function covers(text: string, { kind, name, port }: Thing): boolean {
  const [, action, ...rest] = text.split(":");
  const pattern = rest.join(":");
  if (kind === "egress") return action === "egress" && matchesHost(pattern, name, port);
  if (kind === "invoke") return action === "invoke" && matchesTool(pattern, name);
  const may = action === "write" || action === kind;
  return may && matchesPath(pattern, name, "/home/ada");
}

describe("diffPermissions", () => {
  test("names added, removed, widened and narrowed", () => {
    const before = ["filesystem:read:/a/b", "filesystem:read:/c/**", "env:read:LANG", "env:read:TERM"];
    const after = ["filesystem:read:/a/**", "filesystem:read:/c/d", "env:read:LANG", "network:egress:*"];
    expect(diffPermissions(before, after)).toEqual({
      added: ["network:egress:*"],
      removed: ["env:read:TERM"],
      widened: [{ from: "filesystem:read:/a/b", to: "filesystem:read:/a/**" }],
      narrowed: [{ from: "filesystem:read:/c/**", to: "filesystem:read:/c/d" }],
    });
  });

  test("order, spaces and repetition are no change", () => {
    const none = { added: [], removed: [], widened: [], narrowed: [] };
    expect(diffPermissions(["a:b", "c:d"], [" c:d ", "a:b", "a:b", ""])).toEqual(none);
    expect(isPureNarrowing(none)).toBe(false);
  });

  test("one entry split into narrower ones is a narrowing; several merged into a wider one are widened", () => {
    const whole = ["filesystem:write:/a/**"];
    const parts = ["filesystem:read:/a/x", "filesystem:write:/a/y"];
    const split = diffPermissions(whole, parts);
    expect(split.narrowed).toHaveLength(2);
    expect(isPureNarrowing(split)).toBe(true);
    const merged = diffPermissions(parts, whole);
    expect(merged.widened.map(({ from }) => from)).toEqual(parts);
    expect(isPureNarrowing(merged)).toBe(false);
  });

  test("reading that becomes writing is widened, a new spelling is looked at in full", () => {
    expect(diffPermissions(["filesystem:read:/a"], ["filesystem:write:/a"]).widened).toHaveLength(1);
    const respelled = diffPermissions(["filesystem:read:/a/b"], ["filesystem:read:/a//b"]);
    expect(respelled).toMatchObject({ added: ["filesystem:read:/a//b"], removed: ["filesystem:read:/a/b"] });
    expect(isPureNarrowing(respelled)).toBe(false);
  });

  test("a pure narrowing leaves nothing that was not covered before", () => {
    const entry = fc
      .constantFrom("/a", "/a/*", "/a/**", "/a/b", "/**", "/b/*")
      .chain((path) => fc.constantFrom(`filesystem:read:${path}`, `filesystem:write:${path}`));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), fc.array(entry, { maxLength: 4 }), (before, after) => {
        fc.pre(isPureNarrowing(diffPermissions(before, after)));
        for (const one of after) {
          expect(before.some((other) => ["wider", "equal"].includes(comparePermissions(other, one)))).toBe(true);
        }
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  test("hostile lists neither block nor blow up, and what was not compared is called added", () => {
    const list = (middle: string) =>
      Array.from({ length: 500 }, (_, at) => `filesystem:read:/${at}/${middle}`.slice(0, 299));
    const started = performance.now();
    const diff = diffPermissions(list("**/a/*a*/".repeat(40)), list("a/**/a*a/*/".repeat(30)));
    expect(diff.added.length + diff.narrowed.length).toBe(500);
    expect(performance.now() - started).toBeLessThan(3000);
    const covering = Array.from({ length: 500 }, (_, at) => `filesystem:read:/**${"/".repeat((at % 250) + 1)}x`);
    expect(diffPermissions(list("x"), covering).widened.length).toBeLessThanOrEqual(1000);
  });
});
