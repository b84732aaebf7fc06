import { describe, expect, test } from "vitest";
import { buildEnvironment } from "./env.ts";

const OPTIONS = {
  agentId: "com.example.echo",
  runId: "run_1",
  sessionToken: "token-of-the-session",
  socketPath: "/home/run/agents/1/core.sock",
  dataFolder: "/home/agents/com.example.echo/data",
  temporaryFolder: "/home/agents/com.example.echo/data/tmp",
  toolPath: "/usr/bin:/bin",
  isMixTask: false,
  approvedPermissions: [] as string[],
  egressPatterns: undefined as string[] | undefined,
  valueOf: (_name: string): string | undefined => undefined,
};

const BASE = {
  PATH: "/usr/bin:/bin",
  LANG: "C.UTF-8",
  HOME: OPTIONS.dataFolder,
  TMPDIR: OPTIONS.temporaryFolder,
  PYTHONDONTWRITEBYTECODE: "1",
  OPENSENTIENCE_AGENT_ID: "com.example.echo",
  OPENSENTIENCE_RUN_ID: "run_1",
  OPENSENTIENCE_SOCKET_PATH: OPTIONS.socketPath,
  OPENSENTIENCE_SESSION_TOKEN: "token-of-the-session",
  OPENSENTIENCE_PROTOCOL_VERSION: "1",
};

/** Core's own environment, as it was started. */
const CORE: Record<string, string> = {
  GITHUB_TOKEN: "value-of-the-token",
  EMPTY: "",
  HOME: "/root",
  LD_PRELOAD: "/evil.so",
};
const valueOf = (name: string): string | undefined => CORE[name];

describe("the environment of a run", () => {
  test("names Core's proxy where it is the only way out, whatever was approved", () => {
    const approvedPermissions = ["env:read:HTTPS_PROXY", "network:egress:*"];
    const environment = { ...OPTIONS, approvedPermissions, valueOf: () => "http://proxy.corp.example:3128" };
    const open = buildEnvironment(environment).variables;
    expect([open["HTTPS_PROXY"], open["HTTP_PROXY"]]).toEqual(["http://proxy.corp.example:3128", undefined]);
    const proxied = buildEnvironment({ ...environment, egressPatterns: ["*"] }).variables;
    expect(proxied).toMatchObject({ HTTPS_PROXY: "http://127.0.0.1:61080", http_proxy: "http://127.0.0.1:61080" });
  });

  test("gives an agent nothing of Core's environment but what was approved", () => {
    expect(buildEnvironment({ ...OPTIONS, valueOf }).variables).toEqual(BASE);
    const approved = buildEnvironment({
      ...OPTIONS,
      valueOf,
      approvedPermissions: ["env:read:GITHUB_TOKEN", "network:egress:*"],
    });
    expect(approved.variables).toEqual({ ...BASE, GITHUB_TOKEN: "value-of-the-token" });
  });

  test("adds MIX_ENV for a mix task only", () => {
    expect(buildEnvironment({ ...OPTIONS, isMixTask: true }).variables).toEqual({ ...BASE, MIX_ENV: "prod" });
  });

  test("names the session token and each handed over value as secrets", () => {
    const { secrets } = buildEnvironment({ ...OPTIONS, valueOf, approvedPermissions: ["env:read:GITHUB_TOKEN"] });
    expect(secrets).toEqual([
      ["session_token", "token-of-the-session"],
      ["env GITHUB_TOKEN", "value-of-the-token"],
    ]);
  });

  test("hands over a variable that is set to nothing", () => {
    expect(buildEnvironment({ ...OPTIONS, valueOf, approvedPermissions: ["env:read:EMPTY"] }).variables["EMPTY"]).toBe(
      "",
    );
  });

  test("refuses an approved name that Core was not started with, naming it and the way out", () => {
    expect(() => buildEnvironment({ ...OPTIONS, valueOf, approvedPermissions: ["env:read:MISSING"] })).toThrow(
      expect.objectContaining({
        code: "launcher.env_missing",
        details: { name: "MISSING" },
        nextStep: "opensentience core restart",
      }),
    );
  });

  test.each([...Object.keys(BASE), "MIX_ENV", "OPENSENTIENCE_ANYTHING"])(
    "an approved name never replaces what Core sets: %s",
    (name) => {
      const approvedPermissions = [`env:read:${name}`];
      expect(() => buildEnvironment({ ...OPTIONS, valueOf: () => "forged", approvedPermissions })).toThrow(
        expect.objectContaining({
          code: "launcher.env_reserved",
          details: { name },
          nextStep: "opensentience agents enable com.example.echo",
        }),
      );
    },
  );

  test("only env:read hands anything over", () => {
    const approvedPermissions = [
      "env:write:GITHUB_TOKEN",
      "environment:read:GITHUB_TOKEN",
      "filesystem:read:GITHUB_TOKEN",
    ];
    expect(buildEnvironment({ ...OPTIONS, valueOf, approvedPermissions }).variables).toEqual(BASE);
  });
});
