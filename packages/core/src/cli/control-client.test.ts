import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { ControlClient, type ControlClientDeps } from "./control-client.ts";
import { Interrupted } from "./interrupted.ts";

const UID = process.geteuid?.() ?? 0;
let home: string;
let paths: ControlClientDeps["paths"];
let server: Server | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "cli-client-"));
  paths = { runFolder: join(home, "run"), controlSocket: join(home, "run", "core.sock"), socketFallback: false };
  mkdirSync(paths.runFolder, { mode: 0o700 });
});

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
  rmSync(home, { recursive: true });
});

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<void> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(paths.controlSocket, resolve));
  chmodSync(paths.controlSocket, 0o600);
}

function clientWith(deps: Partial<ControlClientDeps> = {}): ControlClient {
  return new ControlClient({ paths, uid: UID, signal: new AbortController().signal, ...deps });
}

async function codeOf(act: Promise<unknown>): Promise<string> {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof CoreError ? error.code : String(error);
}

describe("requests", () => {
  test("sends one correlation id with every request, and a JSON body with every post", async () => {
    const seen: { method: string; url: string; type: string | undefined; id: unknown; body: string }[] = [];
    await listen((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        seen.push({
          method: request.method ?? "",
          url: request.url ?? "",
          type: request.headers["content-type"],
          id: request.headers["x-correlation-id"],
          body,
        });
        response.setHeader("content-type", "application/json");
        response.end('{"items":[],"next":null}');
      });
    });
    const client = clientWith();
    expect(await client.call("list_agents", { query: { q: "ä b" } })).toEqual({ items: [], next: null });
    await client.call("enable_agent", { params: { agent_id: "a.b" }, body: { approve: ["x:y"] } });
    expect(seen[0]).toMatchObject({ method: "GET", url: "/api/v1/agents?q=%C3%A4+b", type: undefined, body: "" });
    expect(seen[1]).toMatchObject({
      method: "POST",
      url: "/api/v1/agents/a.b/enable",
      type: "application/json",
      body: '{"approve":["x:y"]}',
    });
    expect(seen[0]?.id).toMatch(/^cor_/);
    expect(seen[1]?.id).toBe(seen[0]?.id);
  });

  test("gives back the error that Core sent", async () => {
    await listen((_, response) => {
      response.writeHead(403, { "content-type": "application/problem+json" });
      response.end(
        JSON.stringify({
          code: "enablement.drifted",
          title: "t",
          detail: "it moved",
          details: { layers: ["commit"] },
          next_step: "opensentience agents diff a.b",
          status: 403,
        }),
      );
    });
    const error = await clientWith()
      .call("run_agent", { params: { agent_id: "a.b" } })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "enablement.drifted",
      message: "it moved",
      details: { layers: ["commit"] },
      nextStep: "opensentience agents diff a.b",
    });
  });

  test("does not trust an answer that is no JSON, and names a code it does not know", async () => {
    let body = "<html>";
    await listen((_, response) => {
      response.writeHead(body === "<html>" ? 200 : 409, { "content-type": "application/json" });
      response.end(body);
    });
    expect(await codeOf(clientWith().call("get_status"))).toBe("core.internal");
    body = '{"code":"future.code","detail":"new"}';
    await expect(clientWith().call("get_status")).rejects.toMatchObject({
      code: "core.internal",
      message: "new (future.code)",
      details: { code: "future.code" },
    });
  });

  test("reports a connection that ends before the answer, and sends nothing twice", async () => {
    let requests = 0;
    await listen((request) => {
      requests++;
      request.socket.destroy();
    });
    const startCore = (): Promise<void> => Promise.reject(new Error("must not be started"));
    expect(await codeOf(clientWith({ startCore }).call("stop_core"))).toBe("core.unreachable");
    expect(requests).toBe(1);
  });

  test("ends as interrupted when the caller leaves, and Core sees it leave", async () => {
    const interrupt = new AbortController();
    const { promise: left, resolve } = Promise.withResolvers<void>();
    await listen((request, response) => {
      response.on("close", resolve);
      interrupt.abort();
      request.resume();
    });
    await expect(
      clientWith({ signal: interrupt.signal }).call("build_agent", { params: { agent_id: "a.b" } }),
    ).rejects.toBeInstanceOf(Interrupted);
    await left;
  });
});

describe("streams", () => {
  /** Writes each byte range as a chunk of its own, so that lines and characters are split anywhere. */
  async function answerInPieces(text: string, pieceBytes: number): Promise<void> {
    await listen((_, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson; charset=utf-8" });
      const bytes = Buffer.from(text);
      const write = (from: number): void => {
        if (from >= bytes.length) return void response.end();
        response.write(bytes.subarray(from, from + pieceBytes), () => write(from + pieceBytes));
      };
      write(0);
    });
  }

  test("joins progress and result that were split over chunks", async () => {
    const lines = [
      { progress: { phase: "output", text: "zwölf\u2028€" } },
      { progress: { phase: "clone", text: "2/2" } },
      { result: { found: 3 } },
    ];
    await answerInPieces(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), 3);
    const seen: string[] = [];
    const report = await clientWith().call("scan", {}, ({ phase, text }) => seen.push(`${phase} ${text}`));
    expect(report).toEqual({ found: 3 });
    expect(seen).toEqual(["output zwölf\u2028€", "clone 2/2"]);
  });

  test("throws the error line of a progress stream, and misses a result that never came", async () => {
    await answerInPieces(
      '{"progress":{"phase":"a","text":"b"}}\n{"error":{"code":"build.failed","message":"exit 1","details":{},"next_step":null}}\n',
      10,
    );
    expect(await codeOf(clientWith().call("build_agent", { params: { agent_id: "a.b" } }, () => {}))).toBe(
      "build.failed",
    );
    server?.close();
    rmSync(paths.controlSocket, { force: true });
    await answerInPieces('{"progress":{"phase":"a","text":"b"}}\n', 10);
    expect(await codeOf(clientWith().call("build_agent", { params: { agent_id: "a.b" } }, () => {}))).toBe(
      "core.unreachable",
    );
  });

  test("yields records one by one and leaves when the reader does", async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    await listen((_, response) => {
      response.on("close", resolve);
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.write('{"line":"one"}\n{"line":"two"}\n{"li');
    });
    const seen: string[] = [];
    for await (const record of clientWith().lines("read_logs", {
      params: { agent_id: "a.b" },
      query: { follow: true },
    })) {
      seen.push(record.line);
      if (seen.length === 2) break;
    }
    await left;
    expect(seen).toEqual(["one", "two"]);
  });

  test("ends a followed stream as interrupted", async () => {
    const interrupt = new AbortController();
    await listen((_, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.write('{"line":"one"}\n');
    });
    const follow = async (): Promise<void> => {
      for await (const record of clientWith({ signal: interrupt.signal }).lines("read_logs", {
        params: { agent_id: "a.b" },
      })) {
        if (record.line === "one") interrupt.abort();
      }
    };
    await expect(follow()).rejects.toBeInstanceOf(Interrupted);
  });
});

describe("no Core", () => {
  test("starts Core once and repeats the request", async () => {
    let starts = 0;
    const startCore = async (): Promise<void> => {
      starts++;
      await listen((_, response) => response.end("{}"));
    };
    expect(await clientWith({ startCore }).call("get_status")).toEqual({});
    expect(starts).toBe(1);
  });

  test("a socket that nobody listens on any more counts as no Core", async () => {
    await listen(() => {});
    server?.close();
    const leave = `require("net").createServer().listen(${JSON.stringify(paths.controlSocket)}, () => { require("fs").chmodSync(${JSON.stringify(paths.controlSocket)}, 0o600); process.kill(process.pid, "SIGKILL"); })`;
    await runTool([process.execPath, "-e", leave], { env: {}, timeoutMs: 20_000, maxBytes: 1024 });
    await expect(clientWith().call("get_status")).rejects.toMatchObject({
      code: "core.unreachable",
      nextStep: "opensentience core start",
    });
    expect(await clientWith().isAnswering()).toBe(false);
  });

  test("fails without a starter, also when the home does not exist", async () => {
    expect(await codeOf(clientWith().call("get_status"))).toBe("core.unreachable");
    const nowhere = {
      runFolder: join(home, "x", "run"),
      controlSocket: join(home, "x", "run", "core.sock"),
      socketFallback: false,
    };
    expect(await codeOf(clientWith({ paths: nowhere }).call("get_status"))).toBe("core.unreachable");
  });
});

describe("unsafe sockets", () => {
  const startCore = (): Promise<void> => Promise.reject(new Error("must not be started"));
  const attempt = (deps: Partial<ControlClientDeps> = {}): Promise<string> =>
    codeOf(clientWith({ startCore, ...deps }).call("get_status"));

  test("refuses a run folder that others can write", async () => {
    await listen((_, response) => response.end("{}"));
    for (const mode of [0o720, 0o702, 0o777]) {
      chmodSync(paths.runFolder, mode);
      expect(await attempt()).toBe("core.unsafe_socket");
    }
  });

  test("refuses a socket that others can write", async () => {
    await listen((_, response) => response.end("{}"));
    chmodSync(paths.controlSocket, 0o622);
    expect(await attempt()).toBe("core.unsafe_socket");
  });

  test("refuses what belongs to another user", async () => {
    await listen((_, response) => response.end("{}"));
    expect(await attempt({ uid: UID + 1 })).toBe("core.unsafe_socket");
  });

  test("refuses a file or a link in place of the socket or its folder", async () => {
    writeFileSync(paths.controlSocket, "");
    expect(await attempt()).toBe("core.unsafe_socket");
    const link = join(home, "linked-run");
    symlinkSync(paths.runFolder, link);
    expect(
      await attempt({ paths: { runFolder: link, controlSocket: join(link, "core.sock"), socketFallback: false } }),
    ).toBe("core.unsafe_socket");
  });

  test("refuses a fallback folder below a folder of others", async () => {
    await listen((_, response) => response.end("{}"));
    chmodSync(home, 0o770);
    expect(await attempt({ paths: { ...paths, socketFallback: true } })).toBe("core.unsafe_socket");
    chmodSync(home, 0o700);
    expect(await clientWith({ paths: { ...paths, socketFallback: true } }).call("get_status")).toEqual({});
  });
});
