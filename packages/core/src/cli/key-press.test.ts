import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { Interrupted } from "./interrupted.ts";
import { pressedKey } from "./key-press.ts";

/** Asks once; `before` is what was typed until then, `onceDrawn` what is typed at the question, each text one burst. */
async function ask(before: string[], onceDrawn: string[], signal = new AbortController().signal): Promise<string> {
  const input = new PassThrough();
  for (const text of before) input.write(text);
  const draw = (): void => {
    for (const text of onceDrawn) input.write(text);
  };
  return await pressedKey(input, draw, signal);
}

test.each(["y", "n", "q", "Y", " ", "\r", "\n", "\u001b", "\u001b[A", "ü"])(
  "gives the key that is pressed: %j",
  async (key) => {
    expect(await ask([], [key])).toBe(key);
  },
);

test("keys from before the question are no answer to it", async () => {
  for (const before of [["y"], ["y", "\n"], ["y\ny\n", "yyyy"], ["yes | paste\r"]]) {
    expect(await ask(before, ["n"]), JSON.stringify(before)).toBe("n");
    expect(await ask(before, ["y"]), JSON.stringify(before)).toBe("y");
  }
});

test("a burst is no single key, whole or in pieces", async () => {
  for (const burst of [["yy"], ["y", "y"], ["y", "\n"], ["y\n"], ["y", "e", "s"]])
    expect(await ask([], burst), JSON.stringify(burst)).toBe(burst.join(""));
});

test("a keyboard that is never silent gets no question", async () => {
  const input = new PassThrough();
  const held = setInterval(() => input.write("y"), 20);
  let isDrawn = false;
  const key = await pressedKey(input, () => (isDrawn = true), new AbortController().signal);
  clearInterval(held);
  expect([key, isDrawn]).toEqual(["", false]);
});

test("Ctrl-C, Ctrl-D, the end of input and an abort interrupt it, before the question and at it", async () => {
  for (const end of ["\u0003", "\u0004", "y\u0003"]) {
    await expect(ask([end], ["y"])).rejects.toThrow(Interrupted);
    await expect(ask([], [end])).rejects.toThrow(Interrupted);
  }
  const input = new PassThrough();
  await expect(pressedKey(input, () => input.end(), new AbortController().signal)).rejects.toThrow(Interrupted);
  const abort = new AbortController();
  await expect(pressedKey(new PassThrough(), () => abort.abort(), abort.signal)).rejects.toThrow(Interrupted);
  await expect(ask([], [], AbortSignal.abort())).rejects.toThrow(Interrupted);
});

test("takes keys one by one, and gives the terminal back as it was", async () => {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { setRawMode: (isRaw: boolean) => void modes.push(isRaw) });
  expect(await pressedKey(input, () => void input.write("y"), new AbortController().signal)).toBe("y");
  await expect(pressedKey(input, () => void input.write("\u0003"), new AbortController().signal)).rejects.toThrow();
  expect(modes).toEqual([true, false, true, false]);
  expect(input.listenerCount("data")).toBe(0);
});
