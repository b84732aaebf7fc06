/** A Core that may open few files, and an agent that would have them all: Core goes on answering, and the agent can be ended. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { actsIn } from "../support/agent-acts.ts";
import { BINARY, type CoreHome, newHome } from "../support/core-home.ts";

const MOST = 256;
/** Opens connections to Core's proxy, more than Core could hold, and holds its end of each whatever Core says. */
const FLOODS = `#!/usr/bin/env python3
import os, resource, socket, time, urllib.parse
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
proxy = urllib.parse.urlparse(os.environ["http_proxy"])
held = []
for count in range(600):
    try:
        held.append(socket.create_connection((proxy.hostname, proxy.port), 5))
    except OSError:
        pass
print("flooded", flush=True)
while True:
    time.sleep(1)
`;

let home: CoreHome;
const acts = actsIn(() => home);
beforeAll(async () => {
  home = await newHome();
  const started = await runTool(["/bin/sh", "-c", `ulimit -n ${MOST}; exec "$@"`, "sh", BINARY, "core", "start"], {
    env: home.env,
    timeoutMs: 60_000,
    maxBytes: 100_000,
  });
  if (started.exitCode !== 0) throw new Error(started.stderr.toString());
});
afterAll(() => home.dispose());

test("an agent that opens more connections than Core has descriptors ends nothing but its own", async () => {
  const permissions = ["network:egress:example.com"];
  await acts.enabled("floods.proxy", { "bin/agent": { text: FLOODS, mode: 0o755 } }, { permissions });
  await acts.enabled("quiet.agent", {});
  await acts.run("floods.proxy");
  await acts.said("floods.proxy", "flooded");
  const core = await home.corePid();
  expect(readdirSync(`/proc/${core}/fd`).length).toBeLessThan(MOST - 64);
  expect(await acts.run("quiet.agent")).toMatchObject({ status: "running" });
  expect(await acts.stop("floods.proxy")).toMatchObject({ status: "stopped" });
  expect(await acts.stop("quiet.agent")).toMatchObject({ status: "stopped" });
});
