/** Who asked for what, as it is recorded: decided by the door and never by the client. */
import { isIdOf, newId } from "@opensentience/protocol";
import type { Context } from "hono";
import type { Act } from "../audit-log/audit-log.ts";
import type { Domain } from "./domain.ts";
import type { DoorBindings } from "./doors.ts";
import type { Caller } from "./guard.ts";

export type Asked = Context<{ Bindings: DoorBindings }>;

/** The request is the cause of the first event it leads to; what follows from that one names it. */
export function actOf(context: Asked, domain: Pick<Domain, "operator">, caller: Caller = context.env.caller): Act {
  const given = context.env.incoming.headers["x-correlation-id"];
  return {
    actor: actorOf(caller, domain),
    // Joins the events of one command; anything else a client sends is replaced.
    correlationId:
      typeof given === "string" && isIdOf(given, "cor", "web")
        ? given
        : newId(caller.kind === "operator" ? "cor" : "web"),
    causationId: context.env.requestId,
  };
}

/** Nobody is the one whose sign-in is refused. */
export function actorOf(caller: Caller, { operator }: Pick<Domain, "operator">): Act["actor"] {
  if (caller.kind === "operator") return { type: "human", id: operator };
  if (caller.kind === "session") return { type: "human", id: `${operator} web:${caller.session.id}` };
  if (caller.kind === "token") return { type: "human", id: `${operator} web:token` };
  return { type: "system", id: "web:nobody" };
}
