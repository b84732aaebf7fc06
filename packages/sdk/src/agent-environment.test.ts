import { describe, expect, test } from "vitest";
import { agentEnvironment, NotInARunError } from "./index.ts";

const RUN = {
  HOME: "/home/agents/com.example.notes/data",
  TMPDIR: "/home/agents/com.example.notes/data/tmp",
  OPENSENTIENCE_AGENT_ID: "com.example.notes",
  OPENSENTIENCE_RUN_ID: "run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f",
  OPENSENTIENCE_SOCKET_PATH: "/run/0a1b2c3d4e5f/core.sock",
  OPENSENTIENCE_SESSION_TOKEN: "not-a-real-token",
  OPENSENTIENCE_PROTOCOL_VERSION: "1",
};

describe("agentEnvironment", () => {
  test("gives what Core says about the run", () => {
    expect(agentEnvironment({ ...RUN, PATH: "/usr/bin" })).toEqual({
      agentId: "com.example.notes",
      runId: "run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f",
      dataFolder: "/home/agents/com.example.notes/data",
      temporaryFolder: "/home/agents/com.example.notes/data/tmp",
      socketPath: "/run/0a1b2c3d4e5f/core.sock",
      sessionToken: "not-a-real-token",
      protocolVersion: 1,
    });
  });

  test("says outside a run what is missing and what to type", () => {
    const refused = (): unknown => agentEnvironment({ HOME: "/home/ada" });
    expect(refused).toThrow(NotInARunError);
    expect(refused).toThrow(/OPENSENTIENCE_AGENT_ID.*opensentience agents run/);
  });

  test("takes an empty value and a version that is no number as missing, and never names a value", () => {
    const refused = (): unknown =>
      agentEnvironment({ ...RUN, OPENSENTIENCE_RUN_ID: "", OPENSENTIENCE_PROTOCOL_VERSION: "one" });
    expect(refused).toThrow(
      expect.objectContaining({ missing: ["OPENSENTIENCE_RUN_ID", "OPENSENTIENCE_PROTOCOL_VERSION"] }),
    );
    expect(refused).not.toThrow(/not-a-real-token/);
  });
});
