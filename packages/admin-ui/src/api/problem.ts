/** What Core refused or could not do, as the page shows it: the stable code, the sentence and the next step. */

export type ProblemJson = {
  code: string;
  detail: string;
  details: Record<string, unknown>;
  next_step: string | null;
  status: number;
};

/** `code` is one of Core's (docs/errors.md), or one of the page's own (`page.*`, `http.*`), which nobody is shown. */
export class Problem extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  readonly nextStep: string | null;
  readonly status: number;

  constructor({ code, detail, details, next_step, status }: ProblemJson) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.details = details;
    this.nextStep = next_step;
    this.status = status;
  }

  /** What `opensentience explain` knows; undefined of what the page says by itself, where the sentence is all there is. */
  get shownCode(): string | undefined {
    return /^(?:page|http)\./.test(this.code) ? undefined : this.code;
  }
}

export function unreachable(): Problem {
  return new Problem({
    code: "page.unreachable",
    detail: "Core does not answer. It may be stopped or starting again; the page keeps trying.",
    details: {},
    next_step: "opensentience core status",
    status: 0,
  });
}

/** An act was sent and the connection ended before its answer: Core may have done nothing of it, some, or all. */
export function lostDuringAct(): Problem {
  return new Problem({
    code: "page.lost_during_act",
    detail:
      "The connection to Core was lost before it had answered. What came of this is not known: once Core runs, see how things stand before you try again.",
    details: {},
    next_step: "opensentience core start",
    status: 0,
  });
}

/** The connection of a call ended before its result came: nobody is left who knows how far its agent had got. */
export function lostDuringCall(): Problem {
  return new Problem({
    code: "page.lost_during_call",
    detail: "Core was lost while the call ran. The call may have had its effect.",
    details: {},
    next_step: "opensentience core status",
    status: 0,
  });
}

/** Whatever was thrown, as a problem. An abort stays what it is: nobody waits for it any more. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  return new Problem({
    code: "page.fault",
    detail: thrown instanceof Error ? thrown.message : "something unexpected happened in the page",
    details: {},
    next_step: null,
    status: 0,
  });
}

/** The problem of an answer that is none of success. What is no problem document still gets a code and a sentence. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => "");
  const body = problemBody(text);
  // What could not be read as a request is answered in plain words.
  const plain = response.headers.get("content-type")?.startsWith("text/plain") === true ? text.trim() : "";
  return new Problem({
    code: body?.code ?? `http.${response.status}`,
    detail: body?.detail ?? (plain === "" ? `Core answered with status ${response.status}` : plain),
    details: body?.details ?? {},
    next_step: body?.next_step ?? null,
    status: response.status,
  });
}

function problemBody(text: string): Partial<ProblemJson> | null {
  try {
    return JSON.parse(text) as Partial<ProblemJson> | null;
  } catch {
    return null;
  }
}
