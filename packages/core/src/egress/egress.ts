/**
 * The way out: Core's proxy, through which a run reaches the hosts that were approved for it, and nothing else. The fetch
 * phase of a build and git have one too, with the hosts that their callers name; "run" stands for all three below.
 *
 * A run with `network:egress` stands in an empty network namespace. In there one socket listens on 127.0.0.1; it was
 * made inside, handed to Core before the run's first instruction, and Core accepts its connections. So no process of the
 * way out lives among those of the agent, and what does not ask the proxy has no network at all.
 *
 * Life cycle: `open` when the box hands over its socket, `close` when the run has ended; with it every connection ends.
 * A connection carries one request: CONNECT, or http:// with a whole URL. The host is brought to one spelling and
 * compared with the approved patterns, its name is resolved once, the addresses are judged, and one of them is
 * connected to. Then bytes go both ways with back-pressure, so Core's memory stays flat.
 *
 * Promises: nothing is resolved or connected to that no pattern covers; addresses of this machine and of private
 * networks only as policy.ts says; Core's own port never; every refusal is answered, counted, and once per host, port and
 * run recorded, without path, query or payload, and told to whoever opened the run's way out.
 * Refuses: to look into what is encrypted, so a host that is allowed may serve other names from its address. Callers: launcher, build and install (through services.ts).
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { CoreError } from "@opensentience/protocol";
import type { Act, AuditLog } from "../audit-log/audit-log.ts";
import { NameLookup, systemResolve, type Resolve } from "./name-lookup.ts";
import { isAdvisable, namingOf, permittedAddresses, refusalOf } from "./policy.ts";
import { answer, serveConnection, type ConnectionLimits } from "./proxy-connection.ts";
import { addressOf, type Target } from "./target.ts";
import { ToldHosts } from "./told-hosts.ts";

export type EgressLimits = ConnectionLimits & {
  /** Connections of one run, and of all runs together; each holds two descriptors of Core. */
  perRun: number;
  inAll: number;
  /** Connections of one run beyond those that are told so, at once; who comes after them is cut off without a word. */
  toldPerRun: number;
  /** How many refused hosts and ports of one run are recorded one by one. */
  recorded: number;
};

export const EGRESS_LIMITS: EgressLimits = {
  headBytes: 32_768,
  headMs: 10_000,
  connectMs: 10_000,
  idleMs: 900_000,
  perRun: 128,
  inAll: 1_024,
  toldPerRun: 16,
  recorded: 100,
};

/** What the rest of Core has descriptors for at least. */
const OTHERS_DESCRIPTORS = 192;

/**
 * For a process that may have so many descriptors. SECURITY: who could take them all from inside a box would keep Core from
 * answering anybody, the operator who wants to stop it included. Pinned by
 * "an agent that opens more connections than Core has descriptors ends nothing but its own".
 */
export function egressLimits(descriptors: number): EgressLimits {
  const room = Math.floor((descriptors - OTHERS_DESCRIPTORS) / 4);
  const inAll = Math.max(8, Math.min(EGRESS_LIMITS.inAll, room));
  return { ...EGRESS_LIMITS, inAll, perRun: Math.min(EGRESS_LIMITS.perRun, inAll) };
}

export type EgressRun = {
  /** Names it here; of a build or a fetch any text that nothing else has. */
  runId: string;
  agentId: string;
  /** The patterns of its approved `network:egress` permissions, or what a build or a fetch may reach. */
  patterns: readonly string[];
  /** Of a build or a fetch: refusals are then recorded about the agent and after this act. */
  act?: Act;
  /** See `permittedAddresses`. */
  reservedToo?: boolean;
  /**
   * Told what is refused, and what was allowed and could not be found or reached: each host and port once, and of very many
   * the first. Must not throw.
   */
  onRefused?: (refused: { code: string; message: string; target: Target | undefined }) => void;
};

export type EgressDeps = {
  audit: AuditLog;
  /** Ports of this machine on which Core itself listens. */
  corePorts: readonly number[];
  onFault: (what: string, error: unknown) => void;
  resolve?: Resolve;
  limits?: EgressLimits;
};

/** What a run did with its way out so far. */
export type EgressCounts = {
  connections: number;
  refused: number;
  /** `host:port` of what was connected to, in order, each once; at most MAX_HOSTS. */
  hosts: readonly string[];
  /** What the newest request that came to nothing was answered. */
  lastError: { code: string; message: string; host?: string; port?: number } | undefined;
};

const MAX_HOSTS = 50;

type Served = {
  run: EgressRun;
  server: Server;
  sockets: Set<Socket>;
  /** Of whom there are too many, while they are told so. */
  surplus: Set<Socket>;
  names: NameLookup;
  counts: { connections: number; refused: number };
  hosts: Set<string>;
  lastError: EgressCounts["lastError"];
  /** What is on record of what was refused; who opened the way out was told it, and what was allowed and not found or reached. */
  refused: ToldHosts;
  failed: ToldHosts;
  /** Refusals that have no row of their own. */
  unrecorded: number;
};

export class Egress {
  readonly #deps: EgressDeps;
  readonly #limits: EgressLimits;
  readonly #served = new Map<string, Served>();

  constructor(deps: EgressDeps) {
    this.#deps = deps;
    this.#limits = deps.limits ?? EGRESS_LIMITS;
  }

  /** Serves the run through a socket that listens already, which from now on is this class's to close. */
  async open(run: EgressRun, listener: Server): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(served, socket));
    const served: Served = {
      run,
      server,
      sockets: new Set(),
      surplus: new Set(),
      names: new NameLookup(this.#deps.resolve ?? systemResolve),
      counts: { connections: 0, refused: 0 },
      hosts: new Set(),
      lastError: undefined,
      refused: new ToldHosts(this.#limits.recorded),
      failed: new ToldHosts(this.#limits.recorded),
      unrecorded: 0,
    };
    this.#served.set(run.runId, served);
    await once(server.listen(listener), "listening");
    server.on("error", (error) => this.#deps.onFault(`the way out of ${run.agentId}`, error));
  }

  /** Ends every connection of the run and says what it did; undefined the second time, or where there was none. */
  close(runId: string): EgressCounts | undefined {
    const served = this.#served.get(runId);
    if (served === undefined) return undefined;
    this.#served.delete(runId);
    served.server.close();
    for (const socket of [...served.sockets, ...served.surplus]) socket.destroy();
    if (served.unrecorded > 0) this.#record(served, { count: served.counts.refused, phase: "total" });
    return countsOf(served);
  }

  /** Undefined for a run that has no way out, or has ended. */
  counts(runId: string): EgressCounts | undefined {
    const served = this.#served.get(runId);
    return served === undefined ? undefined : countsOf(served);
  }

  /** See policy.ts. */
  isAdvisable(target: Target, code: string): boolean {
    return isAdvisable(target, code);
  }

  /** What refuses the target where these patterns are approved, as far as can be said without a lookup. */
  refusalOf(target: Target, patterns: readonly string[]): CoreError | undefined {
    return refusalOf(target, patterns, this.#deps.corePorts);
  }

  #accept(served: Served, client: Socket): void {
    if (!this.#hasRoom(served)) return this.#refuseMore(served, client);
    served.counts.connections += 1;
    served.sockets.add(client);
    client.once("close", () => served.sockets.delete(client));
    void serveConnection(client, {
      limits: this.#limits,
      addressesFor: (target) => this.#addressesFor(served, target),
      onConnected: ({ host, port }) => void (served.hosts.size < MAX_HOSTS && served.hosts.add(`${host}:${port}`)),
      onRefused: (error, target) => this.#refused(served, error, target),
    });
  }

  /** SECURITY: an answer holds its connection for a second, so that there are few of them. Pinned with the descriptors. */
  #refuseMore({ counts, surplus }: Served, client: Socket): void {
    client.on("error", () => {});
    counts.refused += 1;
    if (surplus.size >= this.#limits.toldPerRun) return void client.resetAndDestroy();
    surplus.add(client);
    client.once("close", () => surplus.delete(client));
    answer(client, new CoreError("egress.too_many_connections", "as many connections are open as there may be"));
  }

  #hasRoom(served: Served): boolean {
    if (served.sockets.size >= this.#limits.perRun) return false;
    const inAll = [...this.#served.values()].reduce((sum, { sockets }) => sum + sockets.size, 0);
    return inAll < this.#limits.inAll;
  }

  async #addressesFor({ run, names }: Served, target: Target): Promise<string[]> {
    // SECURITY: a lookup itself tells a name server something, so names that were not approved are not looked up;
    // pinned by "a name that no permission covers is never looked up".
    const naming = namingOf(target, run.patterns);
    const literal = addressOf(target.host);
    const addresses = literal === undefined ? await names.addressesOf(target.host, this.#limits.connectMs) : [literal];
    return permittedAddresses(target, addresses, naming, {
      corePorts: this.#deps.corePorts,
      reservedToo: run.reservedToo,
    });
  }

  #refused(served: Served, error: CoreError, target: Target | undefined): void {
    if (error.code === "core.internal") return this.#deps.onFault(`the way out of ${served.run.agentId}`, error.cause);
    served.counts.refused += 1;
    served.lastError = { code: error.code, message: error.message, ...target };
    // What was allowed and did not come about is no refusal, which the audit log would keep.
    if (!RECORDED.has(error.code)) return this.#failed(served, error, target);
    const { code, message } = error;
    // SECURITY: who was refused one port of a host would try the others unseen, Core's own among them; pinned by "is answered,
    // counted, and recorded once per host and port".
    if (!served.refused.take(target?.host ?? code, target?.port ?? 0)) return void (served.unrecorded += 1);
    this.#record(served, { host: target?.host, port: target?.port, code });
    served.run.onRefused?.({ code, message, target });
  }

  #failed({ run, failed }: Served, { code, message }: CoreError, target: Target | undefined): void {
    if (target === undefined || !FAILED.has(code)) return;
    // What ends with the run is no news.
    if (!this.#served.has(run.runId)) return;
    // No port makes a name known.
    const port = code === "egress.unresolved" ? 0 : target.port;
    if (failed.take(target.host, port)) run.onRefused?.({ code, message, target });
  }

  #record({ run }: Served, metadata: Record<string, unknown>): void {
    try {
      this.#deps.audit.record({
        type: "security.egress_refused",
        act: run.act ?? { actor: { type: "agent", id: run.agentId }, correlationId: null },
        subject: run.act === undefined ? { type: "run", id: run.runId } : { type: "agent", id: run.agentId },
        outcome: "denied",
        metadata: { agent_id: run.agentId, ...metadata },
      });
    } catch (error) {
      // It was refused all the same.
      this.#deps.onFault("a refused host could not be recorded", error);
    }
  }
}

function countsOf({ counts, hosts, lastError }: Served): EgressCounts {
  return { ...counts, hosts: [...hosts], lastError };
}

/** By the policy, or because the request was not one. */
const RECORDED: ReadonlySet<string> = new Set([
  "egress.not_approved",
  "egress.private_address",
  "egress.core_port",
  "egress.invalid_request",
]);

/** Approved, and no connection came about. */
const FAILED: ReadonlySet<string> = new Set(["egress.unresolved", "egress.unreachable", "egress.timeout"]);
