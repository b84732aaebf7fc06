/** The control API at its own door, the Unix socket: its description, its refusals, its streams. */
import { once } from "node:events";
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONTROL_ROUTES } from "@opensentience/protocol";
import { newHome, type CoreHome } from "../support/core-home.ts";
import { MANIFEST, smallAgentAt } from "../support/small-agent.ts";

type Answer = { status: number; headers: IncomingMessage["headers"]; text: string };

let home: CoreHome;

beforeAll(async () => {
  home = await newHome();
  await home.json(["core", "start"]);
});
afterAll(() => home.dispose());

async function ask(
  method: string,
  path: string,
  options: { body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const call = request({
    socketPath: join(home.folder, "run/core.sock"),
    method,
    path,
    headers: options.headers ?? {},
  });
  call.end(options.body);
  // A refused body is not read to its end: the server may reset the connection after its answer.
  const answered = once(call, "response");
  call.on("error", () => {});
  const [response] = (await answered) as [IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

const JSON_TYPE = { "content-type": "application/json" };

describe("the description", () => {
  test("is OpenAPI 3.1 and holds every route with its schemas", async () => {
    const answer = await ask("GET", "/api/v1/openapi.json");
    const document = JSON.parse(answer.text) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations.map((operation) => operation.operationId).toSorted()).toEqual(
      Object.keys(CONTROL_ROUTES).toSorted(),
    );
    for (const operation of operations) expect(operation.responses).toHaveProperty("200.content");
    expect(document.paths["/api/v1/agents/{agent_id}/build"]?.["post"]).toMatchObject({
      "x-trust-boundary": "executes_third_party_code",
    });
  });

  test("every answer keeps to the schema of its route", async () => {
    for (const operation of ["get_status", "list_agents", "list_runs", "list_audit", "list_audit_types"] as const) {
      const answer = await ask("GET", `/api/v1${CONTROL_ROUTES[operation].path}`);
      expect(answer.status, operation).toBe(200);
      expect(CONTROL_ROUTES[operation].response.safeParse(JSON.parse(answer.text)).error, operation).toBeUndefined();
    }
  });
});

describe("refusals", () => {
  test.each([
    ["an unknown route", "GET", "/api/v1/nothing", {}, 404, "http.not_found"],
    ["an unknown agent", "GET", "/api/v1/agents/org.example.none", {}, 404, "agent.not_found"],
    ["a change without its content type", "POST", "/api/v1/discovery/scan", { body: "{}" }, 400, "usage.invalid"],
    [
      "a form post, as a hostile page could send it",
      "POST",
      "/api/v1/core/stop",
      { body: "{}", headers: { "content-type": "text/plain" } },
      400,
      "usage.invalid",
    ],
    [
      "a body that is not JSON",
      "POST",
      "/api/v1/discovery/scan",
      { body: "{", headers: JSON_TYPE },
      400,
      "usage.invalid",
    ],
    [
      "a field that does not exist",
      "POST",
      "/api/v1/discovery/scan",
      { body: '{"path":["/"]}', headers: JSON_TYPE },
      400,
      "usage.invalid",
    ],
    [
      "a body over 1 MiB",
      "POST",
      "/api/v1/discovery/scan",
      { body: JSON.stringify({ paths: ["x".repeat(1_100_000)] }), headers: JSON_TYPE },
      422,
      "http.body_too_large",
    ],
    ["a cursor that no list gave out", "GET", "/api/v1/audit/events?cursor=abc", {}, 400, "usage.invalid"],
    ["a cursor that only looks like a number", "GET", "/api/v1/audit/events?cursor=1e3", {}, 400, "usage.invalid"],
    [
      "an argument with a NUL",
      "POST",
      "/api/v1/agents/org.example.none/run",
      { body: JSON.stringify({ args: ["a\0b"] }), headers: JSON_TYPE },
      400,
      "usage.invalid",
    ],
    ["a time that is none", "GET", "/api/v1/audit/events?since=yesterday", {}, 400, "usage.invalid"],
    ["a limit over the cap", "GET", "/api/v1/agents?limit=100000", {}, 400, "usage.invalid"],
  ] as const)("%s is answered with problem details", async (_name, method, path, options, status, code) => {
    const answer = await ask(method, path, options);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({
      status,
      code,
      detail: expect.any(String),
      details: expect.any(Object),
    });
    expect(answer.text).not.toMatch(/ at .*\.(ts|js):\d+/);
  });

  test("OPTIONS and methods that a route does not have do not exist", async () => {
    for (const method of ["OPTIONS", "DELETE", "PUT"]) expect((await ask(method, "/api/v1/agents")).status).toBe(404);
  });

  test("no answer may be read by another origin", async () => {
    const answer = await ask("GET", "/api/v1/agents", { headers: { origin: "https://attacker.example" } });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("identity", () => {
  test("is the owner of the socket, whatever the client claims", async () => {
    await ask("POST", "/api/v1/agents/org.example.none/stop", {
      body: "{}",
      headers: { ...JSON_TYPE, "x-actor": "system:core", authorization: "Bearer x" },
    });
    await ask("POST", "/api/v1/agents/install", {
      body: '{"git_url":"https://user:pass@example.com/x.git"}',
      headers: JSON_TYPE,
    });
    const { items } = JSON.parse((await ask("GET", "/api/v1/audit/events?type=security.denied")).text) as {
      items: { actor_type: string; actor_id: string }[];
    };
    expect(items.length).toBeGreaterThan(0);
    for (const item of items)
      expect(item).toMatchObject({
        actor_type: "human",
        actor_id: expect.stringMatching(new RegExp(`^uid:${process.getuid?.()}`)),
      });
  });

  test.each([["'; DROP TABLE"], [`cor_${"-".repeat(36)}`], [`cor_${"a".repeat(36)}`]])(
    "a correlation id of another form is replaced, every answer has a request id: %s",
    async (correlationId) => {
      const answer = await ask("POST", "/api/v1/agents/install", {
        body: '{"git_url":"https://u:p@example.com/x.git"}',
        headers: { ...JSON_TYPE, "x-correlation-id": correlationId },
      });
      expect(answer.headers["x-request-id"]).toMatch(/^call_/);
      const { items } = JSON.parse((await ask("GET", "/api/v1/audit/events?limit=1")).text) as {
        items: { correlation_id: string }[];
      };
      expect(items[0]?.correlation_id).toMatch(/^cor_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    },
  );

  test("the control socket belongs to the operator alone", () => {
    const socket = lstatSync(join(home.folder, "run/core.sock"));
    expect(socket.isSocket()).toBe(true);
    expect(socket.mode & 0o777).toBe(0o600);
    expect(lstatSync(join(home.folder, "run")).mode & 0o777).toBe(0o700);
  });
});

test("a manifest is handed out as it stands on disk, what Core cannot read of it too", async () => {
  const agentId = "com.example.written";
  await smallAgentAt(home, agentId, "installed");
  const path = `/api/v1/agents/${agentId}/manifest`;
  const text = `{ "id": "${agentId}",\n\t"name": "\u202e <b>" , broken }\n`;
  const place = join(home.sourceOf(agentId), MANIFEST);
  const before = readFileSync(place, "utf8");
  expect(JSON.parse((await ask("GET", path)).text)).toEqual({
    path: place,
    text: before,
    sha256: createHash("sha256").update(before).digest("hex"),
  });
  writeFileSync(place, text);
  expect(JSON.parse((await ask("GET", path)).text)).toMatchObject({ text });
  // SECURITY: a link would make it a way to read any file of the operator's.
  rmSync(place);
  symlinkSync("/etc/hostname", place);
  expect(JSON.parse((await ask("GET", path)).text)).toMatchObject({ code: "manifest.unreadable" });
  rmSync(place);
  expect(JSON.parse((await ask("GET", path)).text)).toMatchObject({ status: 404, code: "manifest.missing" });
  const unknown = await ask("GET", "/api/v1/agents/com.example.nobody/manifest");
  expect(JSON.parse(unknown.text)).toMatchObject({ code: "agent.not_found" });
});

test("the health probe is constant", async () => {
  expect((await ask("GET", "/healthz")).text).toBe("ok");
  expect((await ask("GET", "/readyz")).text).toBe("ready");
});
