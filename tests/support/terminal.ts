/**
 * The command line as a person meets it: under a pseudo-terminal (`script` of util-linux) that answers questions, or
 * followed line by line until Ctrl-C. Nothing waits for a time; everything waits for what is shown.
 */
import { spawnProcess, whenExited } from "../../packages/core/src/host/child-process.ts";
import { BINARY, type CliResult, type CoreHome } from "./core-home.ts";

/** Once `when` is shown (after the answer before), `type` is typed; `first` happens before that. */
export type Answer = { when: string | RegExp; type: string; first?: () => Promise<void> };

const TIMEOUT_MS = 60_000;
/** Colours, and the wiping of a line. */
const STYLING = /\u001b\[[0-9;]*[mK]/g;
/** What a person answers who agrees with everything. */
const QUESTIONS: [string, string][] = [
  ["[y/N/a/q] ", "a\n"],
  ["[y/N] ", "y\n"],
  ["[y, or any other key for no] ", "y"],
];

/**
 * Runs one command on a terminal. `text` is all that was shown, typed answers included, without colours. `typedAhead`
 * is in the terminal before the command begins.
 */
export async function onTerminal(
  home: CoreHome,
  args: string[],
  answers: Answer[] = [],
  typedAhead = "",
): Promise<{ code: number; text: string }> {
  const waiting = [...answers];
  let from = 0;
  const answer = async (text: string): Promise<string | undefined> => {
    const next = waiting[0];
    const rest = text.slice(from);
    const at = next === undefined ? -1 : rest.search(typeof next.when === "string" ? escaped(next.when) : next.when);
    if (next === undefined || at < 0) return undefined;
    waiting.shift();
    from = text.length;
    await next.first?.();
    return next.type;
  };
  return await converse(home, args, answer, {}, typedAhead);
}

/** What one command shows on a terminal of so many columns; nobody answers. */
export async function onTerminalOf(home: CoreHome, columns: number, args: string[]): Promise<string> {
  const { code, text } = await converse(home, args, () => Promise.resolve(undefined), {}, "", columns);
  if (code !== 0) throw new Error(`opensentience ${args.join(" ")} ended with ${code}:\n${text}`);
  return text;
}

/** As a shell takes a line apart that has nothing but words, single quotes and backslashes. */
function shellWords(line: string): string[] {
  const words = line.match(/(?:'[^']*'|\\.|[^\s'\\])+/g) ?? [];
  return words.map((word) => word.replaceAll(/'([^']*)'|\\(.)/g, "$1$2"));
}

/**
 * Types a next step exactly as Core said it, on a terminal, and says yes to every question. Fails unless it is a
 * command and succeeds.
 */
export async function typeNextStep(
  home: CoreHome,
  nextStep: string | null,
  env: Record<string, string> = {},
): Promise<string> {
  if (nextStep === null || !nextStep.startsWith("opensentience ")) throw new Error(`no command to type: ${nextStep}`);
  let answered = 0;
  const { code, text } = await converse(
    home,
    shellWords(nextStep).slice(1),
    (shown) => {
      const rest = shown.slice(answered);
      const question = QUESTIONS.find(([end]) => rest.endsWith(end));
      if (question !== undefined) answered = shown.length;
      return Promise.resolve(question?.[1]);
    },
    env,
  );
  if (code !== 0) throw new Error(`"${nextStep}" ended with ${code}:\n${text}`);
  return text;
}

async function converse(
  home: CoreHome,
  args: string[],
  answer: (text: string) => Promise<string | undefined>,
  env: Record<string, string> = {},
  typedAhead = "",
  columns?: number,
): Promise<{ code: number; text: string }> {
  const words = [BINARY, ...args].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
  const command = columns === undefined ? words : `stty cols ${columns} && exec ${words}`;
  const child = spawnProcess(["script", "--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: home.projects,
    env: { ...home.env, ...env, TERM: "xterm" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = whenExited(child);
  const limit = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  let raw = "";
  let text = "";
  let looking: Promise<void> = Promise.resolve();
  child.stdin?.on("error", () => {});
  child.stdin?.write(typedAhead);
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    raw += chunk;
    text = raw.replaceAll("\r\n", "\n").replaceAll(STYLING, "");
    looking = looking.then(async () => {
      const typed = await answer(text);
      if (typed !== undefined) child.stdin?.write(typed);
    });
  });
  const { exitCode } = await ended;
  clearTimeout(limit);
  await looking;
  if (exitCode === null) throw new Error(`opensentience ${args.join(" ")} waits on the terminal after:\n${text}`);
  return { code: exitCode, text };
}

/** A command that goes on until Ctrl-C (`-f`). */
export class Following {
  readonly #child: ReturnType<typeof spawnProcess>;
  readonly #ended: ReturnType<typeof whenExited>;
  readonly #closed: Promise<unknown>;
  #stdout = "";
  #stderr = "";
  #look: () => void = () => {};

  constructor(home: CoreHome, args: string[]) {
    const stdio = ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"];
    this.#child = spawnProcess([BINARY, ...args], { cwd: home.projects, env: home.env, stdio });
    this.#ended = whenExited(this.#child);
    this.#closed = new Promise((resolve) => this.#child.stdout?.once("close", resolve));
    this.#child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      this.#stdout += chunk;
      this.#look();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (this.#stderr += chunk));
  }

  /** Whole lines of stdout so far. */
  get lines(): string[] {
    return this.#stdout.split("\n").slice(0, -1);
  }

  /** All lines up to now, as soon as one of them fits. */
  async until(line: RegExp): Promise<string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    const fail = (): void => reject(new Error(`no line like ${line} in:\n${this.#stdout}\n${this.#stderr}`));
    const limit = setTimeout(fail, TIMEOUT_MS / 2);
    this.#look = () => {
      if (this.lines.some((one) => line.test(one))) resolve(this.lines);
    };
    this.#look();
    void this.#ended.then(() => setImmediate(fail));
    return await promise.finally(() => clearTimeout(limit));
  }

  /** Stops reading: the command's output fills its pipe. */
  pause(): void {
    this.#child.stdout?.pause();
  }

  resume(): void {
    this.#child.stdout?.resume();
  }

  /** Its end without our doing: the exit code, all whole lines of stdout, and stderr. */
  async end(): Promise<{ code: number | null; lines: string[]; stderr: string }> {
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), TIMEOUT_MS / 2);
    const [{ exitCode }] = await Promise.all([this.#ended, this.#closed]);
    clearTimeout(limit);
    return { code: exitCode, lines: this.lines, stderr: this.#stderr };
  }

  /** The end of the terminal it was started in, or worse. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Ctrl-C, and what came of it. */
  async interrupt(): Promise<CliResult> {
    this.#child.kill("SIGINT");
    const { exitCode } = await this.#ended;
    return { code: exitCode ?? -1, stdout: this.#stdout, stderr: this.#stderr };
  }
}

function escaped(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
}
