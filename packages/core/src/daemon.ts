/**
 * The composition root of Core: puts the parts together, opens the doors, and takes everything down in order.
 *
 * Start: private folders → exclusive lock of the home → settings → database and audit log → what this machine can hold
 * → services → reconciliation of what an earlier Core left → control socket → first scan. A damaged or too new
 * database does not end Core: it answers status on the control socket, says what it found, and keeps the file. The same
 * goes for an audit log that somebody changed: it can be verified, and nothing is done with it.
 * Stop (SIGTERM, SIGINT, or the API): no new requests → every agent stopped, newest first → last checkpoint → database
 * closed → socket and mark removed → lock released. A second signal ends at once; the kernel then ends the agents.
 */
import { writeSync } from "node:fs";
import { readdir, rm, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import { CoreError, errorToJson, newId, toCoreError, type CoreStatusJson } from "@opensentience/protocol";
import { Redactor, SYSTEM_ACT, type Act, type AuditLog } from "./audit-log/audit-log.ts";
import { VERSION } from "./host/version.ts";
import { closeInheritedFds } from "./host/child-process.ts";
import { inheritedEnvironment, killPointSetting, loadConfig, type Config, type SettingKey } from "./host/config.ts";
import { removeCoreMark, writeCoreMark } from "./host/core-mark.ts";
import { namingFullDisk } from "./host/full-disk.ts";
import { armKillPoint, killPoint } from "./host/kill-point.ts";
import { operatorId } from "./host/operator.ts";
import { agentFolders, type Paths } from "./host/paths.ts";
import { ensureHome, ensurePrivateFolder, removeTemporaries } from "./host/private-file.ts";
import { TextLog } from "./logs/logs.ts";
import { WebPage } from "./page.ts";
import { describeHeld, openControlGroups, probeSandbox, type SandboxProbe } from "./sandbox/sandbox.ts";
import { logLimits, makeServices, notIntact, openAuditLog, reconcile, unsetForBuilds } from "./services.ts";
import { acquireLock, Storage, type Lock } from "./storage/storage.ts";
import { createApp, listenOnSocket, LiveEvents, type Domain } from "./web/web.ts";

export type ServeOptions = {
  paths: Paths;
  flags: Partial<Record<SettingKey, string>>;
  /** Report on fd 3 instead of the terminal. */
  background: boolean;
  onReady: (info: ReadyCore) => void;
};
/** `signInUrl` works once, within a minute; both are null where the page is switched off. */
export type ReadyCore = { socketPath: string; webUrl: string | null; signInUrl: string | null };

/** Approvals whose time has come are looked for this often, in ms; each run looks by itself. */
const EXPIRY_INTERVAL_MS = 10_000;
const REPORT_FD = 3;

/** Runs until stopped; the exit code. Throws core.already_running, config.invalid, core.unsafe_socket and the like. */
export async function serve(options: ServeOptions): Promise<number> {
  let hasReported = false;
  const report = (value: object): void => {
    // One report: whoever started Core reads one line and leaves.
    if (options.background && !hasReported) writeSync(REPORT_FD, `${JSON.stringify(value)}\n`);
    hasReported = true;
  };
  try {
    armKillPoint(killPointSetting());
    // Whatever a library creates (the database and its journal) is private from its first moment.
    process.umask(0o077);
    closeInheritedFds(options.background ? [REPORT_FD] : [], inheritedEnvironment()["NODE_EXTRA_CA_CERTS"]);
    const core = await Core.start(options);
    if (core === undefined) {
      report({ held: true });
      if (options.background) return 0;
      throw new CoreError("core.already_running", "another Core owns this home", {
        nextStep: "opensentience core status",
      });
    }
    report({ ready: true });
    options.onReady(core.ready());
    return await core.ended;
  } catch (error) {
    const told = namingFullDisk(toCoreError(error), options.paths.home);
    report(errorToJson(told));
    throw told;
  }
}

export class Core {
  readonly ended: Promise<number>;
  readonly #resolveEnded: (code: number) => void;
  readonly #paths: Paths;
  readonly #config: Config;
  readonly #lock: Lock;
  readonly #log: TextLog;
  readonly #redactor: Redactor;
  readonly #probe: SandboxProbe;
  readonly #page: WebPage | null;
  readonly #instanceId: string;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  #storage: Storage | undefined;
  #audit: AuditLog | null = null;
  #services: Domain["services"] = null;
  #live: LiveEvents | null = null;
  #degraded: CoreError | null = null;
  #server: Server | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #start: "under way" | "to be stopped" | "done" = "under way";

  private constructor(parts: {
    paths: Paths;
    config: Config;
    lock: Lock;
    log: TextLog;
    redactor: Redactor;
    probe: SandboxProbe;
    page: WebPage | null;
    instanceId: string;
  }) {
    this.#paths = parts.paths;
    this.#config = parts.config;
    this.#lock = parts.lock;
    this.#log = parts.log;
    this.#redactor = parts.redactor;
    this.#probe = parts.probe;
    this.#page = parts.page;
    this.#instanceId = parts.instanceId;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#resolveEnded = resolve;
  }

  /** undefined when another Core holds the home. */
  static async start(options: Pick<ServeOptions, "paths" | "flags">): Promise<Core | undefined> {
    const { paths } = options;
    await ensureHome(paths.home);
    for (const folder of [
      paths.stateFolder,
      paths.runFolder,
      paths.runAgentsFolder,
      paths.agentsFolder,
      paths.logsFolder,
    ])
      await ensurePrivateFolder(folder);
    const lock = acquireLock(paths.lock);
    if (lock === undefined) return undefined;
    killPoint("start.locked");
    writeCoreMark(paths.coreMark, "starting");
    let page: WebPage | null = null;
    try {
      await removeTemporaries(paths.stateFolder);
      const config = await loadConfig(paths, options.flags);
      const redactor = new Redactor();
      const log = new TextLog({ path: paths.coreLog, limits: logLimits(config), redactor });
      const instanceId = newId("core");
      page = await WebPage.bind({ config, instanceId, redactor, note: (line) => log.line(line) });
      const probe = { ...(await probeSandbox(config.toolPath)), groups: openControlGroups() };
      const core = new Core({ paths, config, lock, log, redactor, probe, page, instanceId });
      await core.#open();
      return core;
    } catch (error) {
      page?.close();
      removeCoreMark(paths.coreMark);
      lock.release();
      throw error;
    }
  }

  async #open(): Promise<void> {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => this.#onSignal(signal));
    process.on("uncaughtException", (error) => this.#onFatal(error));
    process.on("unhandledRejection", (error) => this.#onFatal(error));
    try {
      this.#storage = Storage.open(this.#paths.database);
      await this.#compose(this.#storage);
    } catch (error) {
      if (!(error instanceof CoreError) || !/^(storage\..*|audit\.not_intact)$/.test(error.code)) throw error;
      this.#degraded = namingFullDisk(error, this.#paths.home);
      this.#log.line(`degraded: ${error.code}: ${error.message}`);
    }
    const domain = this.#domain();
    this.#server = await listenOnSocket(createApp(domain), this.#paths.controlSocket, (line) => this.#log.line(line));
    await this.#page?.open(domain);
    killPoint("start.listening");
    writeCoreMark(this.#paths.coreMark, "running");
    this.#log.line(
      `started: version ${VERSION}, pid ${process.pid}, ${this.#probe.backend}${this.#probe.reason === undefined ? "" : ` (${this.#probe.reason})`}`,
    );
    this.#services?.discovery.start();
    const isUnwanted = this.#start === "to be stopped";
    this.#start = "done";
    if (isUnwanted) this.#stopNow();
  }

  async #compose(storage: Storage): Promise<void> {
    const parts = {
      storage,
      config: this.#config,
      redactor: this.#redactor,
      probe: this.#probe,
      onFault: (what: string, error: unknown) => this.#fault(what, error),
    };
    const audit = await openAuditLog({ ...parts, instanceId: this.#instanceId });
    this.#audit = audit;
    if (audit.problem !== null)
      throw notIntact(`the audit log is not intact: ${audit.problem}`, this.#paths.stateFolder);
    const corePorts = this.#page === null ? [] : [this.#page.port];
    const services = makeServices({ ...parts, audit, instanceId: this.#instanceId, corePorts });
    const { launcher, enablement } = services;
    this.#services = services;
    this.#live = new LiveEvents(services, this.#config.get("web.keep_alive_ms"), parts.onFault);
    audit.record({
      type: "core.started",
      act: SYSTEM_ACT,
      subject: this.#subject(),
      metadata: {
        version: VERSION,
        pid: process.pid,
        node: process.version,
        isolation: describeHeld(this.#probe, this.#config.get("sandbox.mode") !== "off").isolation,
      },
    });
    await reconcile(services, this.#subject(), this.#paths.home);
    killPoint("start.reconciled");
    for (const name of await readdir(this.#paths.runAgentsFolder))
      await rm(join(this.#paths.runAgentsFolder, name), { recursive: true, force: true });
    killPoint("start.sockets_removed");
    launcher.resume();
    this.#expiryTimer = setInterval(
      () =>
        void enablement
          .expireDue(SYSTEM_ACT)
          .catch((error: unknown) => this.#fault("expiring approvals failed", error)),
      EXPIRY_INTERVAL_MS,
    ).unref();
  }

  #domain(): Domain {
    return {
      version: VERSION,
      instanceId: this.#instanceId,
      subject: this.#subject(),
      page: this.#page?.page ?? null,
      record: (event) => this.#services?.audit.record(event) ?? null,
      operator: operatorId(),
      degraded: this.#degraded,
      audit: this.#audit,
      services: this.#services,
      live: this.#live,
      held: describeHeld(this.#probe, this.#config.get("sandbox.mode") !== "off"),
      defaultRestartPolicy: this.#config.get("restart.policy"),
      environmentValue: (name) => this.#config.environmentValue(name),
      agentFolders: (agentId) => agentFolders(this.#paths, agentId),
      status: () => this.#status(),
      health: () => ({
        toolPath: this.#config.toolPath,
        probe: this.#probe,
        sandboxMode: this.#config.get("sandbox.mode"),
        degraded: this.#degraded,
        socketFallback: this.#paths.socketFallback,
        home: this.#paths.home,
        page: this.#page === null ? null : { url: this.#page.page.url, address: this.#page.address },
        configFile: this.#paths.config,
        unsetForBuilds: unsetForBuilds(this.#config),
        privatePaths: [
          this.#paths.home,
          this.#paths.stateFolder,
          this.#paths.database,
          this.#paths.auditKey,
          this.#paths.auditCheckpoints,
          this.#paths.webToken,
          this.#paths.runFolder,
          this.#paths.controlSocket,
          this.#paths.logsFolder,
          this.#paths.agentsFolder,
        ],
      }),
      requestStop: (act) => void setImmediate(() => void this.stop(0, act)),
      toError: (thrown) => namingFullDisk(toCoreError(thrown), this.#paths.home),
      recordDenial: this.#recordDenial,
      onFault: (what, error) => this.#fault(what, error),
    };
  }

  #status(): CoreStatusJson {
    return {
      running: true,
      state: "running",
      pid: process.pid,
      version: VERSION,
      instance_id: this.#instanceId,
      started_at: this.#startedAt.toISOString(),
      home: this.#paths.home,
      socket_path: this.#paths.controlSocket,
      socket_fallback: this.#paths.socketFallback,
      web_url: this.#page?.page.url ?? null,
      degraded: this.#degraded === null ? null : `${this.#degraded.code}: ${this.#degraded.message}`,
      isolation: describeHeld(this.#probe, this.#config.get("sandbox.mode") !== "off").isolation,
      isolation_reason: this.#probe.reason ?? null,
      agents: this.#services?.catalog.count() ?? null,
      runs_live: this.#services?.launcher.liveCount() ?? null,
      config: this.#config.list(),
    };
  }

  #recordDenial: Domain["recordDenial"] = (error, act, agentId, door, count) => {
    try {
      this.#services?.audit.record({
        type: "security.denied",
        act,
        subject: agentId === undefined ? this.#subject() : { type: "agent", id: agentId },
        outcome: "denied",
        metadata: { code: error.code, message: error.message, door, count },
      });
    } catch (failure) {
      // The refusal stands; it is the record of it that could not be written.
      this.#fault("a refusal could not be recorded", failure);
    }
  };

  ready(): ReadyCore {
    return {
      socketPath: this.#paths.controlSocket,
      webUrl: this.#page?.page.url ?? null,
      signInUrl: this.#page?.signInUrl() ?? null,
    };
  }

  /** Idempotent. Resolves `ended` with `code`. */
  stop(code: number, act: Act = SYSTEM_ACT): Promise<void> {
    this.#stopping ??= this.#stop(code, act);
    return this.#stopping;
  }

  async #stop(code: number, act: Act): Promise<void> {
    this.#log.line("stopping");
    writeCoreMark(this.#paths.coreMark, "stopping");
    killPoint("core.stop_begun");
    this.#server?.close();
    this.#page?.close();
    clearInterval(this.#expiryTimer);
    const services = this.#services;
    if (services !== null) {
      services.audit.owed.letGo();
      await services.launcher.stopAll(act);
      killPoint("core.stop_agents_ended");
      // Callers are gone now, which cancels builds and installs under way; each ends its tree and records how it ended.
      this.#server?.closeAllConnections();
      // With their agents the calls have ended; what they came to is committed in the next turn.
      await services.runtime.router.idle();
      this.#page?.end();
      this.#live?.close();
      await services.catalog.whenUnclaimed();
      await services.discovery.stop();
      // Without the record of an end in order the next start closes what is open.
      const metadata = { uptime_ms: Math.round(performance.now() - this.#startedMs) };
      if (await services.audit.owed.settle())
        services.audit.record({ type: "core.stopped", act, subject: this.#subject(), metadata });
      killPoint("core.stop_recorded");
      await services.audit.close();
    }
    this.#page?.end();
    this.#storage?.close();
    killPoint("core.stop_storage_closed");
    this.#log.line("stopped");
    await this.#log.close();
    await unlink(this.#paths.controlSocket).catch(() => undefined);
    killPoint("core.stop_socket_removed");
    removeCoreMark(this.#paths.coreMark);
    killPoint("core.stop_mark_removed");
    this.#lock.release();
    this.#resolveEnded(code);
  }

  #onSignal(signal: string): void {
    if (this.#stopping !== undefined || this.#start === "to be stopped") process.exit(130);
    this.#log.line(`received ${signal}`);
    // A stop in the middle of a start would close what the start still uses, and miss what it opens afterwards.
    if (this.#start === "under way") this.#start = "to be stopped";
    else this.#stopNow();
  }

  #stopNow(): void {
    this.stop(0).catch((error: unknown) => this.#onFatal(error));
  }

  /** SECURITY: a Core in an unknown state must not go on governing: the agents are stopped, or die with it. */
  #onFatal(error: unknown): void {
    this.#fault("fatal", error);
    if (this.#stopping !== undefined || this.#start !== "done") process.exit(1);
    this.stop(1).catch(() => process.exit(1));
  }

  /** The one place where a cause is written down: Core's own log, redacted. */
  #fault(what: string, error: unknown): void {
    const cause =
      error instanceof CoreError
        ? `${error.code}: ${error.message}${error.cause === undefined ? "" : ` (${error.cause instanceof Error ? error.cause.message : "unknown cause"})`}`
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    this.#log.line(`${what}: ${cause}`);
  }

  #subject(): { type: "core"; id: string } {
    return { type: "core", id: this.#instanceId };
  }
}
