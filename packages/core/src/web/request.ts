/**
 * One request as it came, straight from its connection: its body, and how long its answer is waited for and allowed. The
 * Request with its stream that Hono would make of it takes a good part of a whole call of a tool.
 */
import { CoreError } from "@opensentience/protocol";
import type { Asked } from "./acts.ts";
import type { Caller } from "./guard.ts";

/** The body as JSON. Throws `usage.invalid`, `http.body_too_large`; rejects when its sender leaves. */
export async function readJson({ env: { incoming } }: Asked, mostBytes: number): Promise<unknown> {
  if (incoming.headers["content-type"]?.split(";")[0]?.trim().toLowerCase() !== "application/json") {
    throw new CoreError("usage.invalid", "a state change needs content-type application/json", {
      nextStep: "opensentience help",
    });
  }
  const bytes = await readBytes(incoming, mostBytes);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new CoreError("usage.invalid", "the body is not JSON", { nextStep: "opensentience help" });
  }
}

/** Refuses what announces more than `mostBytes`, before anything of it is read. */
export function checkLength({ env: { incoming } }: Asked, mostBytes: number): void {
  if (Number(incoming.headers["content-length"] ?? 0) > mostBytes) throw tooLarge(mostBytes);
}

function readBytes(incoming: Asked["env"]["incoming"], mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= mostBytes) return void chunks.push(chunk);
      // The rest is read and forgotten by whoever ends the request.
      incoming.off("data", onData);
      reject(tooLarge(mostBytes));
    };
    incoming.on("data", onData);
    incoming.once("end", () => resolve(Buffer.concat(chunks)));
    incoming.once("error", reject);
    incoming.once("close", () => reject(new Error("the request ended before its body")));
  });
}

function tooLarge(mostBytes: number): CoreError {
  return new CoreError("http.body_too_large", `the request body is over ${mostBytes / 1024} KiB`);
}

/** Aborted when the connection ends before the answer has left. */
export function untilItsCallerLeaves({ env: { outgoing } }: Asked): AbortSignal {
  const left = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) left.abort();
  });
  return left.signal;
}

/**
 * Ends the answer with the right to it: the session, or the token. SECURITY: who took one and is thrown out by a sign-out or
 * a rotation must not go on to read; pinned by "what streams ends with the session or the token that opened it".
 */
export function endWithItsRight({ env: { outgoing, caller } }: Asked, tokenEnded: AbortSignal | undefined): void {
  const ended = rightOf(caller, tokenEnded);
  if (ended === undefined) return;
  const end = (): void => void outgoing.destroy();
  ended.addEventListener("abort", end, { once: true });
  outgoing.once("close", () => ended.removeEventListener("abort", end));
}

/** Aborted when that caller may not ask any more. */
export function rightOf(caller: Caller, tokenEnded: AbortSignal | undefined): AbortSignal | undefined {
  if (caller.kind === "session") return caller.session.ended;
  return caller.kind === "token" ? tokenEnded : undefined;
}
