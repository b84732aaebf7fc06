/**
 * The web page of Core, put together: its door, its token, its sessions. Bound before Core touches its database, so that
 * a port that is taken stops a start which has done nothing yet; opened when Core can answer.
 */
import { CoreError } from "@opensentience/protocol";
import { SYSTEM_ACT, type Redactor } from "./audit-log/audit-log.ts";
import type { Config } from "./host/config.ts";
import { readPrivateFile, writePrivateFile } from "./host/private-file.ts";
import { canTellUsers, peerUser, portHolder } from "./host/tcp-table.ts";
import {
  Access,
  bindPage,
  finishRotation,
  createApp,
  Denials,
  hostsOf,
  isToken,
  newToken,
  PageFiles,
  recordEnd,
  type Domain,
  type Page,
  type PageDoor,
} from "./web/web.ts";

const MAX_TOKEN_BYTES = 1_000;

type WebPageDeps = {
  config: Config;
  instanceId: string;
  redactor: Redactor;
  note: (line: string) => void;
};

export class WebPage {
  readonly page: Page;
  readonly address: string;
  readonly #door: PageDoor;
  #domain: Domain | undefined;
  readonly #denials: Denials;

  private constructor(door: PageDoor, address: string, token: string, deps: WebPageDeps) {
    const { config, instanceId, redactor } = deps;
    const { webToken } = config.paths;
    this.#door = door;
    this.address = address;
    this.#denials = new Denials((error, requestId, count) => {
      const actor = { type: "system", id: "web:nobody" } as const;
      const act = { actor, correlationId: requestId, causationId: requestId };
      this.#domain?.recordDenial(error, act, undefined, "page", count);
    });
    let forget = redactor.protect(token, "web token");
    this.page = {
      url: urlOf(address, door.port),
      tokenPath: webToken,
      files: new PageFiles(),
      browserUser: canTellUsers(address) ? (process.getuid?.() ?? null) : null,
      peerUser,
      noteDenial: (error, requestId) => this.#denials.note(error, requestId),
      access: new Access({
        instanceId,
        token,
        limits: { idleMs: config.get("web.session_idle_ms"), maxMs: config.get("web.session_max_ms") },
        writeToken: async (next) => {
          await writePrivateFile(webToken, `${next}\n`);
          forget();
          forget = redactor.protect(next, "web token");
        },
        onExpired: (session, reason) => {
          if (this.#domain === undefined) return;
          try {
            recordEnd(this.#domain, session, reason, SYSTEM_ACT);
          } catch (error) {
            this.#domain.onFault("the end of a session could not be recorded", error);
          }
        },
      }),
    };
  }

  get port(): number {
    return this.#door.port;
  }

  /** Null where the page is switched off. Throws `web.port_taken`, `config.invalid` for an address that is not this machine's. */
  static async bind(deps: WebPageDeps): Promise<WebPage | null> {
    const { config, note } = deps;
    if (!config.get("web.enabled")) return null;
    const address = config.get("web.unsafe_bind");
    const port = config.get("web.port");
    const door = await bindPage(address, port, note).catch((error: NodeJS.ErrnoException) => {
      throw notBound(error, address, port);
    });
    if (!isLoopback(address)) note(`the page listens on ${address}: other machines can reach its door`);
    try {
      return new WebPage(door, address, await tokenOf(config.paths.webToken, note), deps);
    } catch (error) {
      door.server.close();
      throw error;
    }
  }

  async open(domain: Domain): Promise<void> {
    this.#domain = domain;
    // A disk that is full must not keep the operator from everything else.
    await finishRotation(domain).catch((error: unknown) => domain.onFault("the token was not replaced", error));
    const rules = { hosts: hostsOf(this.address, this.#door.port), access: this.page.access };
    this.#door.open(createApp(domain), rules, this.page.noteDenial);
  }

  /** Works once, within a minute. */
  signInUrl(): string {
    return `${this.page.url}#code=${this.page.access.makeCode(null)}`;
  }

  /** No new connection; streams go on until `end`. */
  close(): void {
    this.#door.server.close();
  }

  end(): void {
    this.#door.server.closeAllConnections();
    this.#denials.flush();
  }
}

/** What stands in the file, or a new one: where anything else stands there, somebody put it there. */
async function tokenOf(path: string, note: (line: string) => void): Promise<string> {
  try {
    const token = readPrivateFile(path, MAX_TOKEN_BYTES).trim();
    if (isToken(token)) return token;
    note("state/web.token held no token of Core and was replaced");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      note(`state/web.token could not be read and was replaced: ${error instanceof Error ? error.message : "unknown"}`);
  }
  const token = newToken();
  await writePrivateFile(path, `${token}\n`);
  return token;
}

function notBound(error: NodeJS.ErrnoException, address: string, port: number): CoreError {
  if (error.code === "EADDRINUSE") {
    const holder = portHolder(port);
    const who = holder === undefined ? "another program" : `${holder.program} (pid ${holder.pid})`;
    return new CoreError(
      "web.port_taken",
      `port ${port} of ${address}, where the web page is to be, is taken by ${who}`,
      {
        details: { address, port, pid: holder?.pid ?? null, program: holder?.program ?? null },
        nextStep: "opensentience core start --set web.port=0",
      },
    );
  }
  return new CoreError("config.invalid", `the web page cannot listen on port ${port} of ${address}`, {
    details: { key: "web.port", reason: error.code ?? "unknown" },
    cause: error,
    nextStep: "opensentience core start --set web.port=0",
  });
}

/** A browser is sent to a name it can reach: bound to every address, that is loopback. */
function urlOf(address: string, port: number): string {
  const own = /^(0\.0\.0\.0|::)$/.test(address) ? "127.0.0.1" : address;
  return `http://${own.includes(":") ? `[${own}]` : own}${port === 80 ? "" : `:${port}`}/`;
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
