/**
 * What to do about each error code: one true, concrete sentence, shown by `explain` and in docs/errors.md.
 *
 * It stands beside ERROR_CODES and not in it only because of length; the compiler holds both to the same codes. ID, URL,
 * PATH and the like stand for the reader's own. It must hold for every place that throws the code: what only one of
 * them knows belongs into that error's `nextStep`.
 */
import type { ErrorCode } from "./errors.ts";

export const ERROR_ADVICE: Readonly<Record<ErrorCode, string>> = {
  "usage.invalid": "Compare the line with `opensentience help COMMAND`, correct it and repeat it.",
  "usage.confirmation_required": "Decide, then repeat the command with `--yes`, or run it on a terminal.",
  "usage.unknown_code": "Copy the code from the parentheses at the end of the error.",
  "config.invalid":
    "Correct the setting that the message names (in config.toml, the environment or `--set`), then repeat the command.",

  "core.unreachable":
    "Start Core with `opensentience core start`; logs/core.log in the home says why an earlier one ended.",
  "core.start_failed":
    "Run `opensentience serve` to see on the terminal why Core ends, or read logs/core.log in the home.",
  "core.already_running": "Use the Core that runs, or end it first with `opensentience core stop`.",
  "core.stopping": "Wait until `opensentience core status` says that Core is not running, then try again.",
  "core.degraded":
    "Read the reason with `opensentience core status`; docs/operating.md says under Degraded mode how to go on.",
  "core.unsafe_socket":
    "Look at the path with `ls -ld`, make it yours and writable by nobody else (`chmod go-w PATH`), then try again.",
  "core.unsafe_folder":
    "Look at the folder with `ls -ld`; make it a real folder that is yours and that nobody else can write to.",
  "core.tool_missing": "Install the program that the message names, then repeat the command.",
  "core.unsupported_platform": "Use Linux or macOS.",
  "core.internal": "Look for the cause in logs/core.log in the home, and report it as a bug.",
  "http.not_found": "Look the route up in docs/api.md; every path begins with /api/v1.",
  "http.body_too_large": "Send a request body of at most 1 MiB.",

  "web.disabled": "Set `web.enabled` to true in config.toml, then `opensentience core restart`.",
  "web.port_taken":
    "End the program that the message names, or choose another port with `web.port` (0 for any free one) in config.toml.",
  "web.host_refused": "Use the address that `opensentience core status` shows as `page`, exactly as it stands there.",
  "web.origin_refused": "Use the web page at the address that `opensentience core status` shows, from no other page.",
  "web.request_refused": "Send a path as it stands in docs/api.md, and each header once.",
  "web.method_refused": "Use the method that docs/api.md gives for the route.",
  "web.type_refused": "Send `content-type: application/json` and a JSON body, `{}` where there is nothing to say.",
  "web.not_signed_in":
    "Open the page with `opensentience open`, or send the token of state/web.token as a bearer token.",
  "web.token_refused": "Send the token that stands in state/web.token in the home now.",
  "web.sign_in_refused": "Get a new link with `opensentience open`, or paste the token of state/web.token.",
  "web.too_many_attempts": "Wait a minute, or sign in with a link of `opensentience open`, which is never held up.",
  "web.csrf_refused":
    "Sign in again with `opensentience open`; if you sent nothing, a program on another port of this address has the cookie.",
  "web.too_many_streams": "Close pages that are open but not needed.",
  "web.socket_only": "Use `opensentience open` on the machine where Core runs.",

  "storage.unavailable":
    "Check that the disk has room and that state/ in the home is yours and writable, then `opensentience core restart`.",
  "storage.too_new":
    "Install the newer version of opensentience that wrote the database, or put an older backup of state/ in place.",
  "storage.corrupt": "Stop Core, put a backup of the whole state/ folder in place, then start it again.",
  "audit.unavailable":
    "Nothing is changed: make room on the disk, check that state/ in the home is writable, then repeat the command.",
  "audit.outcome_unrecorded":
    "Do not simply repeat it: read in the message what was done, make room on the disk, then look what is on record with `opensentience audit list`.",
  "audit.event_not_found": "Look the event up with `opensentience audit list`.",
  "audit.invalid_note": "Give the whole text as `opensentience audit checkpoint` printed it for this home.",
  "audit.not_erasable": "There is nothing left to erase; `opensentience audit list` shows the other events.",
  "audit.not_intact":
    "See what is wrong with `opensentience audit verify`, keep state/ as evidence and go on as docs/operating.md says under Degraded mode.",

  "agent.not_found":
    "Copy the id from `opensentience agents list`, or look for new agents with `opensentience agents scan`.",
  "run.not_found": "Look the run up with `opensentience agents ps --all`; an agent that never ran has none.",

  "manifest.missing": "Check the path; opensentience.agent.json has to stand at the root of the folder or repository.",
  "manifest.unreadable": "Make opensentience.agent.json a regular file (no link, no folder) that you can read.",
  "manifest.too_large": "Shorten opensentience.agent.json to at most 256 KiB.",
  "manifest.invalid_encoding": "Save opensentience.agent.json as UTF-8.",
  "manifest.invalid_json":
    "Make opensentience.agent.json one plain JSON object, without comments and without a key given twice.",
  "manifest.invalid": "Correct the fields that the error names; docs/manifest.md has the rule of each.",

  "discovery.root_missing": "Make the folder or correct the path; the usual roots are scan_roots in config.toml.",
  "discovery.unreadable":
    "Make the folder readable for you, or keep it out of the scan with scan_prune in config.toml.",
  "discovery.limit_reached": "Scan a folder nearer to the agents: `opensentience agents scan PATH`.",

  "install.invalid_url": "Write the URL as https://HOST/PATH.git, without spaces, query or fragment.",
  "install.url_not_allowed":
    "Use an https:// URL, add `--allow-local` for a repository on this machine, or set install.allow_ssh in config.toml.",
  "install.credentials_in_url": "Use the URL without user name, password and token.",
  "install.invalid_ref": "Give `--ref` a branch, a tag or a whole commit id.",
  "install.ref_not_found": "Choose a branch or tag that `git ls-remote URL` lists, or leave `--ref` out.",
  "install.clone_failed": "Check address, network and access with `git ls-remote URL`, then try again.",
  "install.id_mismatch": "Install from the repository of that very agent, or by its URL without an id.",
  "install.unsafe_tree": "Remove the entry that the message names in the agent's repository, then install again.",
  "install.limit_exceeded":
    "If you trust it, raise the limit in config.toml (install.max_bytes, install.max_files or install.timeout_ms), then `opensentience core restart`.",
  "install.already_installed":
    "Move it on with `opensentience agents update ID`, or take it away first with `opensentience agents remove ID`.",
  "install.not_installed": "Install it with `opensentience agents install ID`, or by the URL of its repository.",
  "install.busy": "Wait until the other act on this agent has ended, then try again.",
  "install.running": "Stop the agent with `opensentience agents stop ID`, then try again.",
  "install.io_failed":
    "Check that the disk has room and that agents/ in the home is yours and writable, then try again.",
  "install.git_missing":
    "Install git, or name its folder in tools.path in config.toml and `opensentience core restart`.",
  "install.no_previous": "Name the version yourself: `opensentience agents update ID --ref REF`.",
  "install.canceled": "There is nothing to clean up; repeat the command when you want it.",
  "install.no_source": "Name the repository: `opensentience agents install ID --git-url URL`.",

  "build.not_built": "Build it with `opensentience agents build ID`.",
  "build.tool_missing": "Install the program that the message names so that it is on tools.path, then build again.",
  "build.canceled": "Build again with `opensentience agents build ID` when you want it.",
  "build.failed":
    "Read the build's log with `opensentience agents logs ID --build`, mend the cause, then build again; of a name that is not found, a certificate or a refused proxy see build.pass_env, docs/operating.md under Building behind a proxy.",
  "build.timeout": "Raise build.timeout_ms in config.toml, `opensentience core restart`, then build again.",
  "build.tracked_files_changed":
    "Let the build write only files that git does not track (in the agent's repository), then install and build it again.",
  "build.source_changed":
    "Install it again with `opensentience agents install ID`, or by the URL of its repository, then build it.",
  "build.link_outside":
    "Let the build make links only to files of the agent itself (in the agent's repository), then install and build it again.",
  "build.plan_changed": "Look at the plan as it is now with `opensentience agents build ID --plan`, then build again.",

  "enablement.not_enabled":
    "Review it with `opensentience agents info ID` and approve it with `opensentience agents enable ID`.",
  "enablement.drifted":
    "Look at what changed with `opensentience agents diff ID`; approve it again, or install it again if you do not trust it.",
  "enablement.expired": "Approve it again with `opensentience agents enable ID`.",
  "enablement.human_only": "Let a person approve it: `opensentience agents enable ID`.",
  "enablement.not_requested": "Approve only what `opensentience agents info ID` lists, spelled as there.",
  "enablement.choice_required": "Choose with `--all` or `--approve PERMISSION`, or run the command on a terminal.",
  "enablement.expiry_required": "Say how long it holds, for example `--expires 1d`.",
  "enablement.invalid_expiry":
    "Give a duration such as 45s, 30m, 12h or 7d, or a future time such as 2030-01-31T12:00:00Z.",

  "egress.not_approved":
    "Approve `network:egress:HOST` for it, if it should reach that host; the log of the run and the audit log have the host.",
  "egress.private_address":
    "Name the address and the port in the permission (`network:egress:192.168.1.5:8080`), if the agent should reach it.",
  "egress.core_port": "Nothing makes Core's own port reachable to an agent; give it a tool instead.",
  "egress.invalid_request":
    "Send CONNECT, or http:// with a whole URL, one request per connection; most HTTP clients do when they use HTTP_PROXY.",
  "egress.unresolved":
    "Look the name up on this machine with `getent hosts NAME`, and correct it or the machine's DNS.",
  "egress.unreachable":
    "Try the same host and port from this machine, outside of the agent; Core connects directly and through no other proxy.",
  "egress.timeout": "Try the same host and port from this machine, outside of the agent, and then again.",
  "egress.too_many_connections": "Close connections in the agent before it opens more; a run may hold 128 at once.",

  "launcher.already_running": "Leave it running, or start it anew with `opensentience agents restart ID`.",
  "launcher.program_missing":
    "Install the program that the message names on tools.path, or correct the entrypoint in the agent's repository and install it again.",
  "launcher.not_executable":
    "Correct the file as the error's next step says, in the agent's repository, then install it again.",
  "launcher.program_outside":
    "Name a program inside the agent's folder in its entrypoint (in the agent's repository), then install it again.",
  "launcher.folder_missing":
    "Bring the folder back, or install the agent again with `opensentience agents install ID`.",
  "launcher.env_missing": "Export the variable, then `opensentience core restart` from the same shell.",
  "launcher.env_reserved": "Approve again with `opensentience agents enable ID`, without that variable.",
  "launcher.start_failed": "Check the machine with `opensentience doctor`, then run the agent again.",
  "launcher.exited_early":
    "Read what it printed with `opensentience agents logs ID`, mend the cause, then run it again.",
  "launcher.stop_failed": "End the processes that the message names with `kill -9 PID`.",

  "sandbox.required":
    "See with `opensentience doctor` what is missing. To run one agent without a sandbox all the same: `opensentience agents enable ID --all --unsandboxed --expires 1d`.",
  "sandbox.not_enforced":
    "Approve without that permission (`opensentience agents enable ID`), or set `sandbox.require_enforced` to false in config.toml.",
  "sandbox.path_forbidden": "Approve without that permission: `opensentience agents enable ID`.",
  "sandbox.path_inexpressible":
    "Write the path with /** at its end in the agent's manifest, or approve without that permission with `opensentience agents enable ID`.",
  "sandbox.path_is_link":
    "Look at the link with `ls -ld`; name the place it leads to in the manifest, or approve without that permission with `opensentience agents enable ID`.",
  "sandbox.too_many_places":
    "Name the folder with /** in the agent's manifest, or approve without that permission with `opensentience agents enable ID`.",

  "protocol.unauthorized":
    "Send the token of this run's own environment, once, as the first message; a lost session cannot be taken up again.",
  "protocol.version_unsupported": "Use an SDK, or a version of the agent, that speaks version 1.",
  "protocol.manifest_mismatch":
    "Send the id from the environment and leave `manifest_hash` out, or give the approved one; `opensentience agents info ID` shows it.",
  "protocol.invalid_frame": "Mend how the agent writes frames: docs/protocol.md has them, byte by byte.",
  "protocol.frame_too_large": "Send less at once: stream it in pieces, or answer with where it can be found.",
  "protocol.invalid_envelope": "Mend the field that the message names: docs/protocol.md says what each one holds.",
  "protocol.unknown_type": "Send only the types that docs/protocol.md names.",
  "protocol.unexpected_message":
    "Send messages in the order that docs/protocol.md gives: hello first, once, and one result per call.",
  "tool.invalid_id":
    "Name the tool `<agent id>/<lower_case_name>` and give it a name, a description and an input schema.",
  "tool.duplicate": "Register each tool once, or send `replace` to begin anew.",
  "tool.invalid_schema":
    "Write the schema in JSON Schema 2020-12, with references only into itself and patterns without look-around.",
  "tool.schema_too_large": "Describe less: a schema may have 64 KiB as JSON.",
  "tool.not_found": "Look at what is offered with `opensentience tools list`, and at the agent's own output.",
  "tool.invalid_input": "Correct the input: `opensentience tools info TOOL` shows its schema.",
  "tool.input_too_large": "Send less, or where it can be found: an input may have 1 MiB as JSON.",
  "tool.invalid_output": "Tell the tool's author: what it answered is not what it promised.",
  "tool.output_too_large": "Ask for less at once; the tool may stream what is large.",
  "tool.permission_denied":
    "Approve the permission that the message names with `opensentience agents enable ID`, if you mean it.",
  "tool.timeout":
    "Call it again with a longer `--timeout`, or look at what the agent is doing with `opensentience agents logs ID`.",
  "tool.canceled": "Nothing, if you canceled it; otherwise call it again.",
  "tool.agent_unavailable":
    "Start the agent with `opensentience agents run ID`, or see why it ended with `opensentience agents logs ID`.",
  "tool.failed": "See why with `opensentience agents logs ID`.",
  "limit.rate": "Wait as long as the message says (`retry_after_ms` of the details), then call again.",
  "limit.concurrency": "Wait until one of the agent's calls is over, then call again.",
  "limit.inflight": "Wait until one of the agent's calls is over, then call again.",
  "limit.stream": "Read faster, or call the tool without `--stream`.",
  "agent.unhealthy":
    "See what it is doing with `opensentience agents logs ID`, or start it again with `opensentience agents restart ID`.",
};
