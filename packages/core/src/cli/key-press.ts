/** One key that a person presses because of a question, told apart from what was on its way before, and from a paste. */
import { Interrupted } from "./interrupted.ts";

/** Where keys come from; a terminal also gives them one by one. */
export type KeyInput = NodeJS.ReadableStream & { setRawMode?: (isRaw: boolean) => unknown };

/** The keyboard has to be silent for so long before a question is drawn; a key that is held repeats every 30 to 50 ms. */
const QUIET_MS = 150;
/** What follows a key within this is one burst with it. */
const BURST_MS = 40;
/** A keyboard that is never silent for so long gets no question: whatever it sends answers none. */
const NOISE_MS = 3_000;
/** Ctrl-C and Ctrl-D, which are no signals while keys come one by one. */
const ENDS = /[\u0003\u0004]/;

/**
 * Waits for silence, calls `draw`, and gives the key that is pressed then. Input from before `draw` is dropped, whether it
 * was typed ahead, pasted or left in the terminal's buffer; a burst after it is given whole, and so is no single key.
 * "" when the keyboard never was silent. Throws Interrupted at Ctrl-C, Ctrl-D, the end of input and an aborted signal.
 */
export async function pressedKey(input: KeyInput, draw: () => void, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let isDrawn = false;
  let pressed = "";
  let timer: NodeJS.Timeout | undefined;
  const noise = setTimeout(() => (isDrawn ? undefined : resolve("")), NOISE_MS);
  const afterSilence = (): void => {
    if (isDrawn) return resolve(pressed);
    isDrawn = true;
    draw();
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(afterSilence, isDrawn ? BURST_MS : QUIET_MS);
  };
  const end = (): void => reject(new Interrupted());
  const take = (chunk: Buffer | string): void => {
    const text = chunk.toString();
    if (ENDS.test(text)) return end();
    // SECURITY: a `y` that was typed or pasted before the question could be read is no consent to it; pinned by "keys
    // from before the question are no answer to it".
    if (isDrawn) pressed += text;
    wait();
  };
  // What waits in the terminal as an unfinished line can be read from here on, and is.
  input.setRawMode?.(true);
  input.on("data", take).once("end", end);
  signal.addEventListener("abort", end, { once: true });
  wait();
  input.resume();
  try {
    if (signal.aborted) end();
    return await promise;
  } finally {
    clearTimeout(timer);
    clearTimeout(noise);
    signal.removeEventListener("abort", end);
    input.off("data", take).off("end", end);
    input.pause();
    input.setRawMode?.(false);
  }
}
