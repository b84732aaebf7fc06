import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { agentFolders, pathsOf } from "./paths.ts";

/** The longest path that the kernel takes for a socket, without its NUL (unix(7)). */
const LONGEST = 107;
const socketOfARun = (runFolder: string): string => join(runFolder, "agents", "0123456789ab", "core.sock");
const homeOf = (length: number): string => `/${"h".repeat(length - 1)}`;

describe("the paths of a home", () => {
  test("all lie below it", async () => {
    const { socketFallback, ...paths } = await pathsOf("/home/me/.opensentience", undefined, 1000);
    expect(socketFallback).toBe(false);
    for (const path of Object.values(paths)) expect(path.startsWith("/home/me/.opensentience")).toBe(true);
    expect(paths.controlSocket).toBe("/home/me/.opensentience/run/core.sock");
    expect(paths.database).toBe("/home/me/.opensentience/state/core.sqlite3");
  });

  test("move the sockets away exactly when the longest of them would not fit", async () => {
    const rest = socketOfARun("/run").length;
    const fits = await pathsOf(homeOf(LONGEST - rest), undefined, 1000);
    expect(fits.socketFallback).toBe(false);
    expect(socketOfARun(fits.runFolder)).toHaveLength(LONGEST);
    const tooDeep = await pathsOf(homeOf(LONGEST - rest + 1), undefined, 1000);
    expect(tooDeep.socketFallback).toBe(true);
    expect(tooDeep.runFolder).toMatch(/^\/tmp\/opensentience-1000\/[0-9a-f]{16}$/);
  });

  test("count bytes, not characters", async () => {
    const umlauts = `/${"ä".repeat(40)}`;
    expect((await pathsOf(umlauts, undefined, 1000)).socketFallback).toBe(true);
    expect((await pathsOf(`/${"a".repeat(40)}`, undefined, 1000)).socketFallback).toBe(false);
  });

  test("prefer the runtime folder of the session, unless that is too deep as well", async () => {
    const deep = homeOf(200);
    expect((await pathsOf(deep, "/run/user/1000", 1000)).runFolder).toMatch(
      /^\/run\/user\/1000\/opensentience\/[0-9a-f]{16}$/,
    );
    expect((await pathsOf(deep, homeOf(90), 1000)).runFolder).toMatch(/^\/tmp\/opensentience-1000\//);
  });

  test("of two deep homes never meet, and keep everything but the sockets in the home", async () => {
    const one = await pathsOf(`${homeOf(200)}/a`, undefined, 0);
    const other = await pathsOf(`${homeOf(200)}/b`, undefined, 0);
    expect(one.runFolder).not.toBe(other.runFolder);
    for (const path of [one.database, one.lock, one.auditKey, one.agentsFolder, one.logsFolder, one.config])
      expect(path.startsWith(one.home)).toBe(true);
  });

  test("of an agent lie below its own folder, but for its logs, which outlast it", async () => {
    const { logs, ...folders } = agentFolders(await pathsOf("/h", undefined, 0), "com.example.echo");
    expect(logs).toBe("/h/logs/com.example.echo");
    expect(folders.source).toBe("/h/agents/com.example.echo/src");
    for (const path of Object.values(folders)) expect(path.startsWith(folders.root)).toBe(true);
    // Core's own records are outside of what the agent's code may think of as its own.
    for (const own of [folders.trackedEntries, folders.builtEntries, folders.repository])
      for (const theirs of [folders.source, folders.data]) expect(own.startsWith(`${theirs}/`)).toBe(false);
  });
});
