import { expect, test } from "vitest";
import { CallAbort } from "./call-abort.ts";

test("a signal is aborted whether it was asked for before or after, with the first reason", () => {
  const abort = new CallAbort();
  const { signal } = abort;
  expect(signal.aborted).toBe(false);
  abort.abort(new Error("first"));
  abort.abort(new Error("second"));
  expect(signal.reason).toMatchObject({ message: "first" });
  expect(abort.signal).toBe(signal);
  const late = new CallAbort();
  late.abort(new Error("early"));
  expect(late.signal.reason).toMatchObject({ message: "early" });
});

test("who listens hears of it once, and not after taking it back", () => {
  const abort = new CallAbort();
  const heard: string[] = [];
  abort.onAbort(() => heard.push("a"));
  abort.onAbort(() => heard.push("b"))();
  abort.abort(new Error("x"));
  abort.abort(new Error("x"));
  expect(heard).toEqual(["a"]);
});
