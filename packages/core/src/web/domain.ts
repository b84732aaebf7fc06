/** What the API needs of Core, put together by the composition root. */
import type { Socket } from "node:net";
import type { CoreError, CoreStatusJson, RestartPolicy } from "@opensentience/protocol";
import type { Act, AuditEvent, AuditLog } from "../audit-log/audit-log.ts";
import type { Build } from "../build/build.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Discovery } from "../discovery/discovery.ts";
import type { HealthInput } from "../doctor/doctor.ts";
import type { Enablement } from "../enablement/enablement.ts";
import type { Install } from "../install/install.ts";
import type { Launcher } from "../launcher/launcher.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Held } from "../sandbox/sandbox.ts";
import type { Access } from "./access.ts";
import type { LiveEvents } from "./live-events.ts";
import type { PageFiles } from "./page-files.ts";

export type Services = {
  audit: AuditLog;
  catalog: Catalog;
  discovery: Discovery;
  install: Install;
  build: Build;
  enablement: Enablement;
  launcher: Launcher;
  runtime: Runtime;
};

/** The web page, where it is not switched off. */
export type Page = {
  url: string;
  access: Access;
  files: PageFiles;
  tokenPath: string;
  /** The one user whose programs may use a code that was made for a browser; null where a peer's user cannot be told. */
  browserUser: number | null;
  peerUser: (socket: Socket) => number | undefined;
  /** What was refused to a caller whom nobody knows. */
  noteDenial: (error: CoreError, requestId: string) => void;
};

export type Domain = {
  version: string;
  instanceId: string;
  subject: AuditEvent["subject"];
  page: Page | null;
  /** Null while Core is degraded: then nothing can be recorded, and hardly anything be done. */
  record: (event: AuditEvent) => string | null;
  /** `uid:<n>(<login>)`: who stands behind the control socket. */
  operator: string;
  /** Why there are no services, or null. */
  degraded: CoreError | null;
  /** There as soon as the database could be opened, services or not: a log that is not intact can be verified. */
  audit: AuditLog | null;
  services: Services | null;
  /** There with the services. */
  live: LiveEvents | null;
  held: Held;
  defaultRestartPolicy: RestartPolicy;
  /** A live value too short to be redacted exactly is a risk worth showing. */
  environmentValue: (name: string) => string | undefined;
  /** Where what the agent keeps and its logs are, if there are any. */
  agentFolders: (agentId: string) => { data: string; logs: string };
  status: () => CoreStatusJson;
  /** What the doctor looks at; there without a database too. */
  health: () => HealthInput;
  /** The act says who stops every agent. */
  requestStop: (act: Act) => void;
  /** What was thrown, as the caller gets it: the composition root knows the home, and so whether its disk is full. */
  toError: (thrown: unknown) => CoreError;
  recordDenial: (error: CoreError, act: Act, agentId: string | undefined, door: string, count?: number) => void;
  onFault: (what: string, error: unknown) => void;
};
