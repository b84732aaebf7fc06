import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { INITIAL, isOver, step, type RunEffect, type RunEnd, type RunEvent, type RunState } from "./run-state.ts";

const CLEAN: RunEnd = { exitCode: 0, signal: null, killedAfterTimeout: false, leaked: [] };

function play(events: readonly RunEvent[]): { state: RunState; effects: RunEffect[] } {
  let state = INITIAL;
  const effects: RunEffect[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const end = (change: Partial<RunEnd>): RunEvent => ({ type: "ended", ...CLEAN, ...change });
const RELEASED: RunEvent = { type: "released" };
const STOP: RunEvent = { type: "stop_requested" };

describe("the story of a run", () => {
  test("an end that was asked for is stopped, whatever the exit code", () => {
    for (const exitCode of [0, 1, 143]) {
      expect(play([RELEASED, STOP, end({ exitCode })])).toEqual({
        state: { status: "stopped", reason: "stopped" },
        effects: ["record_running", "record_stopping", "signal_tree", "record_end"],
      });
    }
  });

  test("an end by SIGKILL after the grace period says so", () => {
    const { state } = play([RELEASED, STOP, end({ exitCode: null, signal: "SIGKILL", killedAfterTimeout: true })]);
    expect(state).toEqual({ status: "stopped", reason: "killed after timeout" });
  });

  test.each([
    [1, "stopped; 1 process of it was killed after timeout"],
    [2, "stopped; 2 processes of it were killed after timeout"],
  ])("a first process that obeyed is not called killed for the %i that did not", (outlivedLeader, reason) => {
    const { state } = play([RELEASED, STOP, end({ exitCode: 0, killedAfterTimeout: true, outlivedLeader })]);
    expect(state).toEqual({ status: "stopped", reason });
  });

  test("an end that nobody asked for is crashed, exit code 0 included", () => {
    expect(play([RELEASED, end({ exitCode: 0 })]).state).toEqual({ status: "crashed", reason: "exited with code 0" });
    expect(play([RELEASED, end({ exitCode: 3 })])).toEqual({
      state: { status: "crashed", reason: "exited with code 3" },
      effects: ["record_running", "record_end", "consider_restart"],
    });
  });

  test("a signal that was not ours is named, and SIGKILL as a possible lack of memory", () => {
    expect(play([RELEASED, end({ exitCode: null, signal: "SIGSEGV" })]).state.reason).toBe("ended by SIGSEGV");
    expect(play([RELEASED, end({ exitCode: null, signal: "SIGKILL" })]).state.reason).toContain("out of memory?");
    const limited = { ...end({ exitCode: null, signal: "SIGKILL" }), note: " (a limit)" };
    expect(play([RELEASED, limited]).state.reason).toBe("killed by SIGKILL that Core did not send (a limit)");
  });

  const LOST: RunEvent = { type: "condemned", reason: "its session ended", isFault: true };
  const KERNEL = { exitCode: null, signal: "SIGKILL" };
  test.each([
    [[LOST], KERNEL, "over", "killed by SIGKILL that Core did not send (over); its session ended"],
    [[LOST], { ...KERNEL, killedAfterTimeout: true }, "over", "its session ended (over)"],
    [[LOST], { exitCode: 0 }, "over", "its session ended (over)"],
    [[LOST], KERNEL, undefined, "its session ended"],
    [[STOP], KERNEL, "over", "stopped (over)"],
    [[STOP], { signal: "SIGTERM" }, "over", "stopped"],
  ] as const)(
    "a limit that the kernel counted is named, whatever came first: %j %j %s",
    (before, how, cause, reason) => {
      const event = { ...end(how), cause } as RunEvent;
      expect(play([RELEASED, ...before, event]).state.reason).toBe(reason);
    },
  );

  test("processes that are left over make it crashed, name them, and are no ground for a restart", () => {
    for (const events of [[RELEASED], [RELEASED, STOP]]) {
      const { state, effects } = play([...events, end({ leaked: [12, 34] })]);
      expect(state).toEqual({ status: "crashed", reason: "leaked: processes 12, 34 are still alive" });
      expect(effects).not.toContain("consider_restart");
    }
  });

  test("a start that failed is crashed with its reason and is not started again", () => {
    expect(play([{ type: "start_failed", reason: "could not be started" }])).toEqual({
      state: { status: "crashed", reason: "could not be started" },
      effects: ["record_end"],
    });
  });

  test("a stop during the start wins: what is released later does not count as running again", () => {
    expect(play([STOP, RELEASED, end({})])).toEqual({
      state: { status: "stopped", reason: "stopped" },
      effects: ["record_stopping", "signal_tree", "record_end"],
    });
  });
});

const events = fc.array(
  fc.oneof(
    fc.constant(RELEASED),
    fc.constant(STOP),
    fc.record({ type: fc.constant("start_failed" as const), reason: fc.string() }),
    fc.record({
      type: fc.constant("ended" as const),
      exitCode: fc.option(fc.integer({ min: 0, max: 255 })),
      signal: fc.option(fc.constantFrom("SIGTERM", "SIGKILL", "SIGSEGV")),
      killedAfterTimeout: fc.boolean(),
      leaked: fc.array(fc.integer({ min: 2, max: 40_000 }), { maxLength: 3 }),
    }),
  ),
  { maxLength: 12 },
);

describe("whatever happens in whatever order", () => {
  test("each thing is recorded at most once, and a restart is considered only after a recorded end", () => {
    fc.assert(
      fc.property(events, (story) => {
        const { state, effects } = play(story);
        for (const effect of ["record_running", "record_stopping", "signal_tree", "record_end", "consider_restart"]) {
          expect(effects.filter((one) => one === effect).length).toBeLessThanOrEqual(1);
        }
        expect(effects.includes("record_end")).toBe(isOver(state));
        if (effects.includes("consider_restart"))
          expect(effects.indexOf("consider_restart")).toBeGreaterThan(effects.indexOf("record_end"));
      }),
    );
  });

  test("an ended run never changes again", () => {
    fc.assert(
      fc.property(events, events, (story, later) => {
        const { state } = play(story);
        fc.pre(isOver(state));
        for (const event of later) expect(step(state, event)).toEqual({ state, effects: [] });
      }),
    );
  });

  test("a run whose stop was asked for is never started again, and a stop is never forgotten", () => {
    fc.assert(
      fc.property(events, (story) => {
        const { state, effects } = play(story);
        if (effects.includes("record_stopping")) {
          expect(effects).not.toContain("consider_restart");
          expect(["stopping", "stopped", "crashed"]).toContain(state.status);
        }
        if (state.status === "stopped") expect(effects).toContain("record_stopping");
      }),
    );
  });

  test("a given state is never changed in place", () => {
    fc.assert(
      fc.property(events, (story) => {
        const frozen = Object.freeze({ ...INITIAL });
        for (const event of story) step(frozen, event);
        expect(frozen).toEqual(INITIAL);
      }),
    );
  });
});
