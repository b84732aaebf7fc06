/**
 * Questions to the person at the terminal, asked on stderr. Only made where there is a terminal to ask on.
 *
 * For a line the terminal stays in its usual mode, so that Ctrl-C reaches the process as the signal it is also while Core
 * works on the answer. Lines typed ahead answer the questions that follow. Ctrl-C and Ctrl-D end the command.
 *
 * A question that one key answers takes nothing that was typed ahead: see key-press.ts.
 */
import { createInterface, type Interface } from "node:readline";
import { Interrupted } from "./interrupted.ts";
import { type KeyInput, pressedKey } from "./key-press.ts";
import type { Output } from "./output.ts";

export class Prompt {
  readonly #lines: string[] = [];
  readonly #input: KeyInput;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  #interface: Interface | undefined;
  #waiting: { resolve: (line: string) => void; reject: (error: Error) => void } | undefined;
  #ended = false;

  constructor(input: KeyInput, output: Output, signal: AbortSignal) {
    this.#input = input;
    this.#output = output;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** Shown before a question; foreign parts must be safe already. */
  show(text: string): void {
    this.#output.ask(`${text}\n`);
  }

  /** The trimmed answer. Throws Interrupted. */
  async ask(question: string): Promise<string> {
    this.#readLines();
    this.#output.ask(question);
    const typedAhead = this.#lines.shift();
    if (typedAhead !== undefined) return typedAhead.trim();
    if (this.#ended) throw new Interrupted();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve: (line) => resolve(line.trim()), reject };
    });
  }

  /** No is the default. */
  async confirm(question: string): Promise<boolean> {
    return /^y(es)?$/i.test(await this.ask(`${question} [y/N] `));
  }

  /** Yes is one press of `y`, without Enter, after the question was drawn; every other key is no. Throws Interrupted. */
  async confirmByKey(question: string): Promise<boolean> {
    this.close();
    this.#lines.length = 0;
    const draw = (): void => this.#output.ask(`${question} [y, or any other key for no] `);
    const key = await pressedKey(this.#input, draw, this.#signal).catch((error: unknown) => {
      this.#output.ask("\n");
      throw error;
    });
    const isYes = key === "y";
    this.#output.ask(isYes ? "yes\n" : "no\n");
    return isYes;
  }

  close(): void {
    this.#interface?.removeAllListeners("close");
    this.#interface?.close();
    this.#interface = undefined;
  }

  #readLines(): void {
    if (this.#interface !== undefined || this.#ended) return;
    this.#interface = createInterface({ input: this.#input, terminal: false });
    this.#interface.on("line", (line) => this.#take(line));
    this.#interface.on("close", () => this.#end());
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#lines.push(line);
    else waiting.resolve(line);
  }

  #end(): void {
    this.#ended = true;
    if (this.#waiting !== undefined) this.#output.ask("\n");
    this.#waiting?.reject(new Interrupted());
    this.#waiting = undefined;
  }
}
