/** What the API needs of Core, put together by the composition root. */
import type { CoreError, CoreStatusJson, RestartPolicy } from "@opensentience/protocol";
import type { Act, AuditLog } from "../audit-log/audit-log.ts";
import type { Build } from "../build/build.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Discovery } from "../discovery/discovery.ts";
import type { HealthInput } from "../doctor/doctor.ts";
import type { Enablement } from "../enablement/enablement.ts";
import type { Install } from "../install/install.ts";
import type { Launcher } from "../launcher/launcher.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Held } from "../sandbox/sandbox.ts";

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

export type Domain = {
  version: string;
  /** `uid:<n>(<login>)`: who stands behind the control socket. */
  operator: string;
  /** Why there are no services, or null. */
  degraded: CoreError | null;
  /** There as soon as the database could be opened, services or not: a log that is not intact can be verified. */
  audit: AuditLog | null;
  services: Services | null;
  held: Held;
  defaultRestartPolicy: RestartPolicy;
  /** A live value too short to be redacted exactly is a risk worth showing. */
  environmentValue: (name: string) => string | undefined;
  status: () => CoreStatusJson;
  /** What the doctor looks at; there without a database too. */
  health: () => HealthInput;
  /** The act says who stops every agent. */
  requestStop: (act: Act) => void;
  /** What was thrown, as the caller gets it: the composition root knows the home, and so whether its disk is full. */
  toError: (thrown: unknown) => CoreError;
  recordDenial: (error: CoreError, act: Act, agentId: string | undefined, door: string) => void;
  onFault: (what: string, error: unknown) => void;
};
