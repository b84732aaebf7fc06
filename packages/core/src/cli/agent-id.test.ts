import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { idMeant, runWithAgent } from "./agent-id.ts";
import type { CommandContext } from "./context.ts";

const IDS = ["com.newcomer.tide", "com.newcomer.echo", "org.example.echo"];

describe("the agent that is meant", () => {
  test.each([
    ["com.newcomer.tide", "com.newcomer.tide"],
    ["tide", "com.newcomer.tide"],
    ["newcomer.tide", "com.newcomer.tide"],
    ["example.echo", "org.example.echo"],
  ])("by %s is %s", (name, id) => {
    expect(idMeant(name, IDS)).toBe(id);
  });

  test("is nobody's guess when several ids end so", () => {
    expect(() => idMeant("echo", IDS)).toThrow(
      expect.objectContaining({
        code: "usage.invalid",
        message: '"echo" is the end of several ids: com.newcomer.echo, org.example.echo',
      }),
    );
    expect(() => idMeant("cho", IDS)).toThrow(expect.objectContaining({ code: "agent.not_found" }));
  });

  test.each([
    ["com.newcomer.tied", 'no agent "com.newcomer.tied" is known; did you mean "com.newcomer.tide"?'],
    ["tied", 'no agent "tied" is known; did you mean "com.newcomer.tide"?'],
    ["org.other.thing", 'no agent "org.other.thing" is known'],
    ["com.newcomer.ledger", 'no agent "com.newcomer.ledger" is known'],
    ["org.exmaple.echo", 'no agent "org.exmaple.echo" is known; did you mean "org.example.echo"?'],
  ])("when there is none for %s, is the nearest or none", (name, message) => {
    expect(() => idMeant(name, IDS)).toThrow(expect.objectContaining({ code: "agent.not_found", message }));
  });
});

/** What a command was run with, and what was asked of Core for it. */
async function runs(typed: string, known = IDS): Promise<{ ran: string[]; asked: number; notes: string[] }> {
  const seen = { ran: [] as string[], asked: 0, notes: [] as string[] };
  const context = {
    command: { positionals: [{ name: "ID" }] },
    positionals: [typed],
    output: { note: (text: string) => seen.notes.push(text) },
    connect: () =>
      Promise.resolve({
        call: () => {
          seen.asked++;
          return Promise.resolve({ items: known.map((agent_id) => ({ agent_id })), next: null });
        },
      }),
  } as unknown as CommandContext;
  await runWithAgent(context, ({ positionals: [id = ""] }) => {
    seen.ran.push(id);
    return known.includes(id) ? Promise.resolve() : Promise.reject(new CoreError("agent.not_found", "no"));
  });
  return seen;
}

test("an exact id never asks", async () => {
  expect(await runs("com.newcomer.tide")).toEqual({ ran: ["com.newcomer.tide"], asked: 0, notes: [] });
});

test("a short name is looked up, and said", async () => {
  const notes = ["tide is com.newcomer.tide"];
  expect(await runs("tide")).toEqual({ ran: ["com.newcomer.tide"], asked: 1, notes });
  const ran = ["newcomer.tide", "com.newcomer.tide"];
  expect(await runs("newcomer.tide")).toEqual({ ran, asked: 1, notes: ["newcomer.tide is com.newcomer.tide"] });
});
