/** The profile as text. Whether macOS holds it was never tried: see the file's head. */
import { expect, test } from "vitest";
import { macosProfile } from "./macos-profile.ts";
import type { BoxPolicy, Place } from "./policy.ts";

const place = (path: string, write: boolean, kind: Place["kind"] = "folder"): Place => ({
  path,
  source: path,
  write,
  kind,
});
const POLICY: BoxPolicy = {
  granted: [place("/Users/u/notes", false), place("/Users/u/out", true), place("/Users/u/f.txt", true, "file")],
  hidden: ["/Users/u/notes/.core"],
  own: [place("/core/a/src", false), place("/core/a/data", true)],
  tools: ["/opt/node/bin"],
  network: "none",
  limits: {},
};

test("a run with granted places", () => {
  expect(macosProfile(POLICY)).toBe(`(version 1)
(deny default)
(import "system.sb")
(allow process-fork)
(allow signal (target same-sandbox))
(allow process-exec
  (subpath "/usr")
  (subpath "/bin")
  (subpath "/sbin")
  (subpath "/System")
  (subpath "/Library/Frameworks")
  (subpath "/private/var/db/dyld")
  (subpath "/private/var/db/timezone")
  (subpath "/opt/node/bin")
  (subpath "/Users/u/notes")
  (subpath "/Users/u/out")
  (literal "/Users/u/f.txt")
  (subpath "/core/a/src")
  (subpath "/core/a/data"))
(allow file-read*
  (subpath "/usr")
  (subpath "/bin")
  (subpath "/sbin")
  (subpath "/System")
  (subpath "/Library/Frameworks")
  (subpath "/private/var/db/dyld")
  (subpath "/private/var/db/timezone")
  (subpath "/dev/null")
  (subpath "/dev/zero")
  (subpath "/dev/random")
  (subpath "/dev/urandom")
  (subpath "/private/etc/localtime")
  (subpath "/private/etc/ssl"))
(allow file-write-data
  (literal "/dev/null")
  (literal "/dev/zero"))
(allow file-read-metadata
  (literal "/")
  (literal "/Users")
  (literal "/Users/u")
  (literal "/core")
  (literal "/core/a")
  (literal "/opt")
  (literal "/opt/node"))
(allow file-read*
  (subpath "/opt/node/bin")
  (subpath "/Users/u/notes")
  (subpath "/Users/u/out")
  (literal "/Users/u/f.txt"))
(allow file-write*
  (subpath "/Users/u/out")
  (literal "/Users/u/f.txt"))
(deny file-read* file-write* process-exec
  (subpath "/Users/u/notes/.core"))
(allow file-read* process-exec
  (subpath "/core/a/src")
  (subpath "/core/a/data"))
(allow file-write*
  (subpath "/core/a/data"))
(allow network-outbound
  (remote unix-socket (subpath "/core/a/src")))
`);
});

test("nothing granted allows nothing, and only an open network is one", () => {
  const bare = { ...POLICY, granted: [], hidden: [], own: [], tools: [] };
  const profile = macosProfile(bare);
  expect(profile).not.toMatch(/file-write\*|network|file-read-metadata/);
  expect(macosProfile({ ...bare, network: "open" })).toContain("(allow network*)\n(allow system-socket)\n");
});

test("a rule speaks of where a place really is", () => {
  const linked = { ...place("/tmp/x", true), source: "/private/tmp/x" };
  const profile = macosProfile({ ...POLICY, granted: [linked] });
  expect(profile).toContain('(subpath "/private/tmp/x")');
  expect(profile).not.toContain('"/tmp/x"');
});

test("a path cannot end its string", () => {
  const named = (path: string): string => macosProfile({ ...POLICY, granted: [place(path, true)] });
  expect(named('/a") (allow default) ("')).toContain(String.raw`(subpath "/a\") (allow default) (\"")`);
  expect(named("/a\\")).toContain(String.raw`(subpath "/a\\")`);
  for (const path of ["/a\n(allow default)", "/a\0b", "relative", ""])
    expect(() => named(path)).toThrow(expect.objectContaining({ code: "sandbox.path_forbidden" }));
});
