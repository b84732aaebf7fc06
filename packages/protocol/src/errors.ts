/**
 * The one table of error codes and the one error type of Core.
 *
 * `kind` alone decides HTTP status, exit code and whether a retry can help; `code` is a stable dotted key of
 * ERROR_CODES; `message`, `nextStep` and `details` must be safe to show and to store (no payloads, no secrets,
 * no stack traces). `cause` never leaves Core's own log. docs/errors.md is compared with this table by a test.
 */

export type ErrorKind =
  | "invalid"
  | "usage"
  | "not_found"
  | "conflict"
  | "unauthorized"
  | "denied"
  | "unavailable"
  | "timeout"
  | "canceled"
  | "internal";

/** HTTP status and CLI exit code (spec of the CLI: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unreachable, 6 conflict, 130). */
export const ERROR_KINDS: Record<ErrorKind, { status: number; exit: number }> = {
  invalid: { status: 422, exit: 1 },
  usage: { status: 400, exit: 2 },
  not_found: { status: 404, exit: 3 },
  conflict: { status: 409, exit: 6 },
  unauthorized: { status: 401, exit: 4 },
  denied: { status: 403, exit: 4 },
  unavailable: { status: 503, exit: 1 },
  timeout: { status: 504, exit: 1 },
  canceled: { status: 499, exit: 130 },
  internal: { status: 500, exit: 1 },
};

/** code → kind and what it means. A new code needs its sentence in error-advice.ts and its row in docs/errors.md; tests hold all three together. */
export const ERROR_CODES = {
  "usage.invalid": { kind: "usage", meaning: "The command line or request is malformed." },
  "usage.confirmation_required": {
    kind: "usage",
    meaning: "The act needs a confirmation and there is no terminal to ask on.",
  },
  "usage.unknown_code": { kind: "not_found", meaning: "No error has that code." },
  "config.invalid": { kind: "invalid", meaning: "A setting is unknown or has a value that is not allowed." },

  "core.unreachable": { kind: "unavailable", meaning: "No Core answers on the control socket." },
  "core.start_failed": { kind: "unavailable", meaning: "Core could not be started." },
  "core.already_running": { kind: "conflict", meaning: "Another Core owns this home." },
  "core.stopping": { kind: "unavailable", meaning: "Core is stopping and takes no new acts." },
  "core.degraded": {
    kind: "unavailable",
    meaning: "Core runs without its database, or refuses to go on with its audit log; it only says what it found.",
  },
  "core.unsafe_socket": {
    kind: "denied",
    meaning: "The control socket or its folder belongs to somebody else or can be written by others.",
  },
  "core.unsafe_folder": {
    kind: "denied",
    meaning: "A folder that must be private is a link, no folder, or belongs to somebody else.",
  },
  "core.tool_missing": { kind: "unavailable", meaning: "A program that Core itself needs is not installed." },
  "core.unsupported_platform": { kind: "unavailable", meaning: "This operating system is not supported." },
  "core.internal": { kind: "internal", meaning: "An unexpected fault inside Core; its log has the cause." },
  "http.not_found": { kind: "not_found", meaning: "No such API route." },
  "http.body_too_large": {
    kind: "invalid",
    meaning: "The request body is over 1 MiB, or that of a sign-in over 4 KiB.",
  },

  "web.disabled": { kind: "unavailable", meaning: "The web page is switched off by web.enabled." },
  "web.port_taken": { kind: "unavailable", meaning: "The port of the web page is taken, so Core did not start." },
  "web.host_refused": { kind: "denied", meaning: "The Host header does not name the address of the web page." },
  "web.origin_refused": { kind: "denied", meaning: "The request was sent by a page of another origin." },
  "web.request_refused": { kind: "usage", meaning: "The request line or a header of it is malformed." },
  "web.method_refused": { kind: "usage", meaning: "The method is not one of GET, HEAD, POST, PUT, PATCH and DELETE." },
  "web.type_refused": { kind: "usage", meaning: "A state change came without content-type application/json." },
  "web.not_signed_in": { kind: "unauthorized", meaning: "The request came without a session or token." },
  "web.token_refused": { kind: "unauthorized", meaning: "The bearer token is not that of this Core." },
  "web.sign_in_refused": {
    kind: "unauthorized",
    meaning: "The code was used before, is over a minute old, or like the token not that of this Core.",
  },
  "web.too_many_attempts": { kind: "unavailable", meaning: "Too many wrong tokens or codes were sent just now." },
  "web.csrf_refused": { kind: "denied", meaning: "The cookie of a session came without the secret of its page." },
  "web.too_many_streams": { kind: "unavailable", meaning: "As many event streams are open as there may be." },
  "web.socket_only": { kind: "denied", meaning: "The route is there on the control socket only." },

  "storage.unavailable": { kind: "unavailable", meaning: "The database cannot be read or written." },
  "storage.too_new": { kind: "unavailable", meaning: "The database was written by a newer version of Core." },
  "storage.corrupt": { kind: "unavailable", meaning: "The database file is damaged." },
  "audit.unavailable": {
    kind: "unavailable",
    meaning: "The audit log cannot be written, so the act was refused, or undone before anything was changed.",
  },
  "audit.outcome_unrecorded": {
    kind: "internal",
    meaning:
      "Something was done, and what it came to is not on record as it should be; the message says what was done.",
  },
  "audit.event_not_found": { kind: "not_found", meaning: "No audit event has that id." },
  "audit.invalid_note": { kind: "usage", meaning: "The text is not a checkpoint that this Core signed." },
  "audit.not_erasable": {
    kind: "denied",
    meaning: "That row's metadata is erased already, or it is a tombstone itself.",
  },
  "audit.not_intact": { kind: "invalid", meaning: "The audit log was changed, cut or cannot be read." },

  "agent.not_found": { kind: "not_found", meaning: "The catalog has no agent with that id." },
  "limit.stream": {
    kind: "unavailable",
    meaning: "What a call streams or answers was not read fast enough, so the call was ended.",
  },
  "agent.unhealthy": { kind: "unavailable", meaning: "The agent is unhealthy and gets no new calls." },
  "run.not_found": { kind: "not_found", meaning: "No run has that id, or the agent has never run." },

  "manifest.missing": { kind: "not_found", meaning: "There is no opensentience.agent.json at that place." },
  "manifest.unreadable": { kind: "invalid", meaning: "The manifest is not a readable regular file." },
  "manifest.too_large": { kind: "invalid", meaning: "The manifest is over 256 KiB." },
  "manifest.invalid_encoding": { kind: "invalid", meaning: "The manifest is not valid UTF-8." },
  "manifest.invalid_json": { kind: "invalid", meaning: "The manifest is not one JSON object that can be trusted." },
  "manifest.invalid": { kind: "invalid", meaning: "A field of the manifest breaks its rule." },

  "discovery.root_missing": { kind: "not_found", meaning: "A scan root does not exist or is not a folder." },
  "discovery.unreadable": { kind: "invalid", meaning: "A folder could not be read during the scan." },
  "discovery.limit_reached": { kind: "invalid", meaning: "The scan stopped at its cap of depth, entries or time." },

  "install.invalid_url": { kind: "usage", meaning: "The git URL does not follow the allowed grammar." },
  "install.url_not_allowed": { kind: "denied", meaning: "That kind of git URL is not allowed here." },
  "install.credentials_in_url": { kind: "denied", meaning: "The git URL carries credentials." },
  "install.invalid_ref": { kind: "usage", meaning: "The ref does not follow the allowed grammar." },
  "install.ref_not_found": { kind: "not_found", meaning: "The repository has no such branch, tag or commit." },
  "install.clone_failed": { kind: "unavailable", meaning: "git could not fetch the repository." },
  "install.id_mismatch": { kind: "denied", meaning: "The repository's manifest carries another agent id." },
  "install.unsafe_tree": { kind: "denied", meaning: "The repository holds an entry that is never written to disk." },
  "install.limit_exceeded": { kind: "denied", meaning: "The repository is over a limit of size, files or time." },
  "install.already_installed": { kind: "conflict", meaning: "The agent is already installed." },
  "install.not_installed": { kind: "denied", meaning: "The agent is not installed." },
  "install.busy": { kind: "conflict", meaning: "Another act on this agent is under way." },
  "install.running": { kind: "conflict", meaning: "The agent is running; stop it first." },
  "install.io_failed": { kind: "unavailable", meaning: "Files could not be written." },
  "install.git_missing": { kind: "unavailable", meaning: "git is not installed, or not on tools.path." },
  "install.no_previous": { kind: "not_found", meaning: "There is no earlier tree to go back to." },
  "install.canceled": { kind: "canceled", meaning: "The install was canceled; nothing was changed." },
  "install.no_source": { kind: "usage", meaning: "Nothing says which git URL to install from." },

  "build.not_built": { kind: "denied", meaning: "The installed commit has not been built." },
  "build.tool_missing": {
    kind: "unavailable",
    meaning: "A program that the build needs is not installed, or not on tools.path.",
  },
  "build.canceled": { kind: "canceled", meaning: "The build was canceled; its tree was ended." },
  "build.failed": { kind: "invalid", meaning: "A build step ended with a failure." },
  "build.timeout": { kind: "timeout", meaning: "The build took longer than build.timeout_ms." },
  "build.tracked_files_changed": { kind: "denied", meaning: "The build changed files that git tracks." },
  "build.source_changed": {
    kind: "denied",
    meaning: "The source is not that of the installed commit and could not be put back.",
  },
  "build.link_outside": { kind: "denied", meaning: "The build left a link to files that somebody can change." },
  "build.plan_changed": { kind: "conflict", meaning: "The plan is no longer the one that was shown." },

  "enablement.not_enabled": { kind: "denied", meaning: "No active approval exists for the agent." },
  "enablement.drifted": { kind: "denied", meaning: "The agent is no longer what was approved." },
  "enablement.expired": { kind: "denied", meaning: "The approval has expired." },
  "enablement.human_only": {
    kind: "denied",
    meaning: "Only a human approves; an agent, a tool or Core itself cannot.",
  },
  "enablement.not_requested": {
    kind: "denied",
    meaning: "A permission was to be approved that the manifest does not request.",
  },
  "enablement.choice_required": {
    kind: "usage",
    meaning: "Approving needs a choice and there is no terminal to ask on.",
  },
  "enablement.expiry_required": {
    kind: "usage",
    meaning: "An approval to run without a sandbox needs an end.",
  },
  "enablement.invalid_expiry": { kind: "usage", meaning: "The expiry is not a duration or time in the future." },

  "egress.not_approved": {
    kind: "denied",
    meaning: "The agent wants to connect to a host that no approved permission covers.",
  },
  "egress.private_address": {
    kind: "denied",
    meaning: "The host is at an address of this machine or of a private network, which the approval does not name.",
  },
  "egress.core_port": {
    kind: "denied",
    meaning: "The agent wants to connect to a port of Core itself.",
  },
  "egress.invalid_request": {
    kind: "usage",
    meaning: "What came to Core's proxy is no request to a proxy, or could be read in two ways.",
  },
  "egress.unresolved": {
    kind: "unavailable",
    meaning: "The name of a host that is allowed has no address.",
  },
  "egress.unreachable": {
    kind: "unavailable",
    meaning: "A host that is allowed does not take the connection.",
  },
  "egress.timeout": {
    kind: "timeout",
    meaning:
      "The agent took too long to send its request, or a host that is allowed too long to be found or to answer.",
  },
  "egress.too_many_connections": {
    kind: "unavailable",
    meaning: "The agent, or all agents together, hold as many connections as there may be.",
  },

  "launcher.already_running": { kind: "conflict", meaning: "The agent is already running." },
  "launcher.program_missing": { kind: "invalid", meaning: "The entrypoint's program does not exist." },
  "launcher.not_executable": { kind: "invalid", meaning: "The entrypoint's program cannot be executed." },
  "launcher.program_outside": { kind: "denied", meaning: "The entrypoint leads out of the agent's folder." },
  "launcher.folder_missing": { kind: "invalid", meaning: "The agent's folder is gone." },
  "launcher.env_missing": {
    kind: "denied",
    meaning: "An approved environment variable is not set in Core's environment.",
  },
  "launcher.env_reserved": {
    kind: "denied",
    meaning: "An approved environment variable is one that Core sets itself.",
  },
  "launcher.start_failed": { kind: "invalid", meaning: "The process could not be started." },
  "launcher.exited_early": { kind: "invalid", meaning: "The agent ended within its start window." },
  "launcher.stop_failed": { kind: "unavailable", meaning: "Something of the run is still alive." },

  "sandbox.required": {
    kind: "denied",
    meaning: "This machine cannot hold a sandbox, and nothing allows to go on without one.",
  },
  "sandbox.not_enforced": {
    kind: "denied",
    meaning: "An approved permission would only be advisory here, and sandbox.require_enforced is set.",
  },
  "sandbox.path_forbidden": {
    kind: "denied",
    meaning: "An approved path begins where no sandbox shows anything: Core's own folders, /proc, /dev, or the root.",
  },
  "sandbox.path_inexpressible": {
    kind: "invalid",
    meaning: "An approved path is a folder without what is in it, which a sandbox cannot show.",
  },
  "sandbox.path_is_link": {
    kind: "denied",
    meaning:
      "An approved path leads through a link that an agent could have made, or changed while the sandbox was being made.",
  },
  "sandbox.too_many_places": {
    kind: "invalid",
    meaning: "An approved pattern covers more single files than a sandbox can show.",
  },

  "protocol.unauthorized": {
    kind: "unauthorized",
    meaning: "The session token is not that of this run, was used before, or has expired.",
  },
  "protocol.version_unsupported": {
    kind: "invalid",
    meaning: "No version of the runtime protocol is known to both sides.",
  },
  "protocol.manifest_mismatch": {
    kind: "denied",
    meaning: "The agent's hello names another agent or another manifest than the one that was approved.",
  },
  "protocol.invalid_frame": { kind: "invalid", meaning: "A frame holds no bytes, or not one JSON object in UTF-8." },
  "protocol.frame_too_large": { kind: "invalid", meaning: "A frame is over max_frame_bytes." },
  "protocol.invalid_envelope": { kind: "invalid", meaning: "A field of a message is missing or breaks its rule." },
  "protocol.unknown_type": { kind: "invalid", meaning: "A message has a type that nobody knows." },
  "protocol.unexpected_message": {
    kind: "invalid",
    meaning: "A message came at the wrong time or from the wrong side.",
  },
  "tool.invalid_id": { kind: "invalid", meaning: "A tool's name or description breaks its rule." },
  "tool.duplicate": { kind: "conflict", meaning: "A tool of that id is registered already." },
  "tool.invalid_schema": {
    kind: "invalid",
    meaning: "A tool's schema is not JSON Schema 2020-12 that can be checked safely.",
  },
  "tool.schema_too_large": { kind: "invalid", meaning: "A tool's schema is over 64 KiB." },
  "tool.not_found": { kind: "not_found", meaning: "No running agent offers that tool." },
  "tool.invalid_input": { kind: "invalid", meaning: "The input breaks the tool's schema." },
  "tool.input_too_large": { kind: "invalid", meaning: "The input is over 1 MiB." },
  "tool.invalid_output": { kind: "invalid", meaning: "The output breaks the tool's schema." },
  "tool.output_too_large": { kind: "invalid", meaning: "The output is over 3 MiB." },
  "tool.permission_denied": { kind: "denied", meaning: "The call needs a permission that was not approved." },
  "tool.timeout": { kind: "timeout", meaning: "The call took too long, or nothing came for too long." },
  "tool.canceled": { kind: "canceled", meaning: "The call was canceled." },
  "tool.agent_unavailable": {
    kind: "unavailable",
    meaning: "The agent of that tool is not running, or its session ended.",
  },
  "tool.failed": { kind: "invalid", meaning: "The tool failed and gave no reason." },
  "limit.rate": { kind: "unavailable", meaning: "The agent has used up its calls; they come back evenly with time." },
  "limit.concurrency": {
    kind: "unavailable",
    meaning: "The agent works on as many calls at once as it may, or as one other agent may ask of it.",
  },
  "limit.inflight": {
    kind: "unavailable",
    meaning: "256 requests of one connection are unanswered, or the agent has yet to read what it was sent.",
  },
} as const satisfies Record<string, { kind: ErrorKind; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Safe, structured error. `details` and `nextStep` are shown to the user; `cause` only reaches Core's log. */
export class CoreError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  /** One command (or one short sentence) that moves the user on; commands are typed by a test. */
  readonly nextStep: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; nextStep?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CoreError";
    this.code = code;
    this.details = options.details ?? {};
    this.nextStep = options.nextStep;
  }

  get kind(): ErrorKind {
    return ERROR_CODES[this.code].kind;
  }
}

/** `--json` and API body of an error (spec 4.1): keys are a contract. */
export type ErrorJson = {
  error: { code: string; message: string; details: Record<string, unknown>; next_step: string | null };
};

export function errorToJson(error: CoreError): ErrorJson {
  return {
    error: {
      code: error.code,
      message: error.message,
      details: error.details,
      next_step: error.nextStep ?? null,
    },
  };
}

/** Unknown throwables become `core.internal`; used at the edges (HTTP, CLI, daemon main) and nowhere else. */
export function toCoreError(thrown: unknown): CoreError {
  if (thrown instanceof CoreError) return thrown;
  return new CoreError("core.internal", "internal error", {
    cause: thrown,
    nextStep: "opensentience core status",
  });
}
