import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { egressLimits } from "./egress.ts";
import { echoServer, listening, openWayOut, portOf, RUN_ID, textOf } from "../../../../tests/support/way-out.ts";

const get = (url: string, ...fields: string[]): string =>
  [`GET ${url} HTTP/1.1`, "Host: spoofed.example", ...fields, "", ""].join("\r\n");
const codeOf = (answer: string): string | undefined => /^OpenSentience-Error: (.*)\r$/m.exec(answer)?.[1];
const firstLine = (answer: string): string => answer.split("\r\n")[0] ?? "";

describe("plain HTTP", () => {
  test("is forwarded to an approved host, which hears its own name and nothing meant for the proxy", async () => {
    const server = await echoServer();
    const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`] });
    const fields = [
      "Connection: keep-alive, X-Secret",
      "X-Secret: 1",
      "Proxy-Authorization: Basic eA==",
      "TE: trailers",
    ];
    const more = ["Upgrade: h2c", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Kept:  a b "];
    const answer = await way.talk(get(`http://0x7f.1:${server.port}/path?query=1`, ...fields, ...more));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
    expect(server.requests).toEqual([
      `GET /path?query=1 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nx-kept: a b\r\nConnection: close\r\n\r\n`,
    ]);
    expect(way.egress.counts(RUN_ID)).toEqual({
      connections: 1,
      refused: 0,
      hosts: [`127.0.0.1:${server.port}`],
      lastError: undefined,
    });
    expect(way.refusals()).toEqual([]);
  });

  test.each([
    ["a length", "Content-Length: 5", "hello", "hello"],
    ["no bytes", "Content-Length: 0", "", ""],
    ["chunks", "Transfer-Encoding: Chunked", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ])("forwards a body with %s, and nothing behind it", async (_name, framing, body, expected) => {
    const server = await echoServer();
    const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`] });
    const url = `http://127.0.0.1:${server.port}`;
    const head = [`POST ${url}/first HTTP/1.1`, "Host: x", framing, "", ""].join("\r\n");
    expect(await way.talk(`${head}${body}${get(`${url}/second`)}`)).toMatch(/\r\n\r\nok$/);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatch(/^POST \/first /);
    expect(server.requests[0]?.split("\r\n\r\n").slice(1).join("\r\n\r\n")).toBe(expected);
    expect(server.requests[0]).not.toContain("second");
  });

  test("a request in pieces is the same request", async () => {
    const server = await echoServer();
    const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`] });
    const socket = connect({ port: way.port, host: "127.0.0.1", noDelay: true });
    const read = textOf(socket);
    const head = `POST http://127.0.0.1:${server.port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n`;
    for (const byte of `${head}3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n`) {
      await new Promise((written) => socket.write(byte, written));
    }
    expect(await read).toMatch(/\r\n\r\nok$/);
    expect(server.requests[0]).toMatch(/\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n$/);
  });
});

describe("CONNECT", () => {
  test("carries bytes both ways, those sent at once with it among them, and each end of them", async () => {
    const server = await listening(
      createServer({ allowHalfOpen: true }, (socket) => {
        let text = "";
        socket.on("data", (data) => (text += String(data)));
        socket.on("end", () => socket.end(`heard ${text}`));
      }),
    );
    const way = await openWayOut({ patterns: [`127.0.0.1:${portOf(server)}`] });
    const answer = await way.talk(`CONNECT 127.0.0.1:${portOf(server)} HTTP/1.1\r\n\r\nearly`, { end: true });
    expect(answer).toBe("HTTP/1.1 200 Connection established\r\n\r\nheard early");
  });

  test("a reset of the server is a reset for the client", async () => {
    const server = await listening(createServer((socket) => void socket.once("data", () => socket.resetAndDestroy())));
    const way = await openWayOut({ patterns: [`127.0.0.1:${portOf(server)}`] });
    const socket = connect({ port: way.port, host: "127.0.0.1" });
    const failed = new Promise((resolve) => socket.once("close", resolve));
    const errors: string[] = [];
    socket.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
    socket.write(`CONNECT 127.0.0.1:${portOf(server)} HTTP/1.1\r\n\r\nx`);
    socket.resume();
    await failed;
    expect(errors).toEqual(["ECONNRESET"]);
  });

  test("goes to the port of the pattern only", async () => {
    const server = await echoServer();
    const other = await echoServer();
    const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`] });
    const answer = await way.talk(`CONNECT 127.0.0.1:${other.port} HTTP/1.1\r\n\r\n`);
    expect(firstLine(answer)).toBe("HTTP/1.1 403 Forbidden");
    expect([codeOf(answer), other.connections()]).toEqual(["egress.not_approved", 0]);
  });
});

describe("a refusal", () => {
  test("is answered, counted, and recorded once per host and port, without path and query", async () => {
    const way = await openWayOut({ patterns: ["example.com"], resolve: () => Promise.reject(new Error("not asked")) });
    for (const path of ["/a?token=1", "/b", "/c"]) {
      const answer = await way.talk(get(`http://evil.example${path}`));
      expect([firstLine(answer), codeOf(answer)]).toEqual(["HTTP/1.1 403 Forbidden", "egress.not_approved"]);
      expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toEqual({
        error: { code: "egress.not_approved", message: "no approved permission covers evil.example:80" },
      });
    }
    await way.talk("CONNECT 10.0.0.1:22 HTTP/1.1\r\n\r\n");
    const rows = [
      { agent_id: "com.example.reacher", host: "evil.example", port: 80, code: "egress.not_approved" },
      { agent_id: "com.example.reacher", host: "10.0.0.1", port: 22, code: "egress.not_approved" },
    ];
    expect(way.refusals()).toEqual(rows);
    expect(way.egress.counts(RUN_ID)).toMatchObject({ connections: 4, refused: 4 });
    expect(way.egress.close(RUN_ID)).toMatchObject({
      hosts: [],
      lastError: { code: "egress.not_approved", host: "10.0.0.1", port: 22 },
    });
    expect(way.egress.close(RUN_ID)).toBeUndefined();
    expect(way.refusals()).toEqual([...rows, { agent_id: "com.example.reacher", count: 4, phase: "total" }]);
  });

  test("of a build or a fetch is recorded about the agent, after the act that it belongs to", async () => {
    const act = { actor: { type: "human" as const, id: "op" }, correlationId: "c1", causationId: null };
    const way = await openWayOut({ patterns: [], act });
    await way.talk(get("http://h.example/"));
    expect(way.rows()).toMatchObject([
      {
        actor_type: "human",
        actor_id: "op",
        subject_type: "agent",
        subject_id: "com.example.reacher",
        outcome: "denied",
      },
    ]);
  });

  test("is told once per host and port to who opened the way out, and so is what cannot be found", async () => {
    const resolve = (): Promise<never> => Promise.reject(new Error("unknown"));
    const way = await openWayOut({ patterns: ["gone.example"], resolve });
    for (const place of ["h.example:1", "h.example:2", "h.example:1", "gone.example:1", "gone.example:2"])
      await way.talk(get(`http://${place}/`));
    // Two ports of one host; a name that is not known is so at every port.
    expect(way.told).toEqual([
      "egress.not_approved h.example",
      "egress.not_approved h.example",
      "egress.unresolved gone.example",
    ]);
    expect(way.refusals().map(({ host, port }) => `${String(host)}:${String(port)}`)).toEqual([
      "h.example:1",
      "h.example:2",
    ]);
  });

  test("of very many hosts fills no log", async () => {
    const way = await openWayOut({ patterns: [], limits: { recorded: 3 } });
    for (let index = 0; index < 8; index += 1) await way.talk(get(`http://h${index}.example/`));
    expect(way.refusals().map(({ host }) => host)).toEqual(["h0.example", "h1.example", "h2.example"]);
    way.egress.close(RUN_ID);
    expect(way.refusals().at(-1)).toMatchObject({ count: 8, phase: "total" });
  });

  test("a name that no permission covers is never looked up", async () => {
    const asked: string[] = [];
    const resolve = (name: string): Promise<string[]> => Promise.resolve((asked.push(name), ["8.8.8.8"]));
    const way = await openWayOut({ patterns: ["*.example:1"], resolve });
    await way.talk(get("http://c2VjcmV0.evil.test/"));
    await way.talk(get("http://c2VjcmV0.example/"));
    expect(asked).toEqual([]);
  });

  test("a name that resolves to a private address is refused after it was looked up", async () => {
    const server = await echoServer();
    const way = await openWayOut({ patterns: ["*"], resolve: () => Promise.resolve(["127.0.0.1", "::1"]) });
    const answer = await way.talk(get(`http://rebound.example:${server.port}/`));
    expect([codeOf(answer), server.connections()]).toEqual(["egress.private_address", 0]);
  });

  test("Core's own port is refused even where it is approved", async () => {
    const server = await echoServer();
    const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`], corePorts: [server.port] });
    const answer = await way.talk(get(`http://127.0.0.1:${server.port}/`));
    expect([codeOf(answer), server.connections()]).toEqual(["egress.core_port", 0]);
  });
});

describe("a name", () => {
  test("is resolved once, and connected to by that answer", async () => {
    const server = await echoServer();
    const answers = [["127.0.0.1"], ["169.254.169.254"]];
    let asked = 0;
    const resolve = (): Promise<string[]> => Promise.resolve(answers[(asked += 1) - 1] ?? []);
    const way = await openWayOut({ patterns: [`localhost:${server.port}`], resolve });
    expect(await way.talk(get(`http://LocalHost.:${server.port}/`))).toMatch(/\r\n\r\nok$/);
    expect([asked, server.requests[0]]).toEqual([1, expect.stringContaining(`Host: localhost:${server.port}\r\n`)]);
  });

  test("is connected to by its next address when the first does not answer", async () => {
    const server = await echoServer();
    const resolve = (): Promise<string[]> => Promise.resolve(["127.0.0.99", "::1", "127.0.0.1"]);
    const way = await openWayOut({ patterns: [`localhost:${server.port}`], resolve });
    expect(await way.talk(get(`http://localhost:${server.port}/`))).toMatch(/\r\n\r\nok$/);
  });

  test("that has no address, and a host that does not answer, are told and not recorded", async () => {
    const server = createServer();
    const port = portOf(await listening(server));
    await new Promise((closed) => server.close(closed));
    const resolve = (): Promise<string[]> => Promise.reject(new Error("NXDOMAIN"));
    const way = await openWayOut({ patterns: ["*", `127.0.0.1:${port}`], resolve });
    const unresolved = await way.talk(get("http://nowhere.example/"));
    const unreachable = await way.talk(get(`http://127.0.0.1:${port}/`));
    expect([unresolved, unreachable].map(codeOf)).toEqual(["egress.unresolved", "egress.unreachable"]);
    await way.talk(get("http://nowhere.example/again"));
    expect(way.refusals()).toEqual([]);
    expect(way.told).toEqual(["egress.unresolved nowhere.example", "egress.unreachable 127.0.0.1"]);
  });

  test("a run asks for few names at once", async () => {
    let asked = 0;
    const pending: (() => void)[] = [];
    const resolve = async (): Promise<string[]> => {
      asked += 1;
      await new Promise<void>((answered) => pending.push(answered));
      throw new Error("NXDOMAIN");
    };
    const way = await openWayOut({ patterns: ["*"], resolve });
    const talks = Promise.all(Array.from({ length: 8 }, (_, at) => way.talk(get(`http://h${at}.example/`))));
    await expect.poll(() => way.egress.counts(RUN_ID)?.connections).toBe(8);
    for (let answered = 0; answered < 8; answered += 1) {
      await expect.poll(() => pending.length).toBeGreaterThan(0);
      expect(asked).toBeLessThanOrEqual(answered + 2);
      pending.shift()?.();
    }
    expect((await talks).map(codeOf)).toEqual(Array.from({ length: 8 }, () => "egress.unresolved"));
  });

  test("whose server never answers is given up, and the next in line has its turn", async () => {
    let asked = 0;
    const way = await openWayOut({
      patterns: ["*"],
      resolve: () => ((asked += 1), new Promise(() => {})),
      limits: { connectMs: 50 },
    });
    const answers = await Promise.all([1, 2, 3].map((at) => way.talk(get(`http://h${at}.example/`))));
    expect(answers.map(codeOf)).toEqual(["egress.timeout", "egress.timeout", "egress.timeout"]);
    expect(asked).toBe(2);
  });
});

describe("limits", () => {
  test("a head that comes slowly is not waited for", async () => {
    const way = await openWayOut({ patterns: ["*"], limits: { headMs: 60 } });
    expect(codeOf(await way.talk("GET http://a.example/ HTTP/1.1\r\nX: "))).toBe("egress.timeout");
    expect(await way.talk("")).toBe("");
  });

  test("bytes that drip do not stretch the time for the head", async () => {
    const way = await openWayOut({ patterns: ["*"], limits: { headMs: 150 } });
    const socket = connect({ port: way.port, host: "127.0.0.1" });
    const read = textOf(socket);
    const drip = setInterval(() => socket.write("a"), 20);
    expect(codeOf(await read)).toBe("egress.timeout");
    clearInterval(drip);
  });

  test("a long head is refused as soon as it is too long", async () => {
    const way = await openWayOut({ patterns: ["*"], limits: { headBytes: 1_000 } });
    expect(codeOf(await way.talk(`GET http://a.example/${"a".repeat(2_000)}`))).toBe("egress.invalid_request");
    expect(codeOf(await way.talk(get("http://a.example/", `X: ${"a".repeat(1_000)}`)))).toBe("egress.invalid_request");
  });

  test("a run holds so many connections, and gets room again when one ends", async () => {
    const server = await listening(createServer((socket) => void socket.on("error", () => {})));
    const way = await openWayOut({ patterns: [`127.0.0.1:${portOf(server)}`], limits: { perRun: 2 } });
    const open = async () => {
      const socket = connect({ port: way.port, host: "127.0.0.1" });
      socket.write(`CONNECT 127.0.0.1:${portOf(server)} HTTP/1.1\r\n\r\n`);
      const [data] = (await once(socket, "data")) as [Buffer];
      return { socket, line: firstLine(String(data)) };
    };
    const [one, two, three] = [await open(), await open(), await open()];
    expect([one.line, two.line, three.line].map((line) => line.slice(9, 12))).toEqual(["200", "200", "503"]);
    const closed = once(two.socket, "close");
    two.socket.destroy();
    await closed;
    await expect.poll(async () => (await open()).line.slice(9, 12)).toBe("200");
    one.socket.destroy();
  });

  test("those beyond are told so a few at a time, and the others cut off", async () => {
    const way = await openWayOut({ patterns: [], limits: { perRun: 1, toldPerRun: 2 } });
    const silent = connect({ port: way.port, host: "127.0.0.1" });
    await once(silent, "connect");
    const beyond = Array.from({ length: 6 }, () => connect({ port: way.port, host: "127.0.0.1", allowHalfOpen: true }));
    // Half open, as one that wants to hold Core's end would be.
    const ends = beyond.map(async (socket) => {
      let said = "";
      socket.on("data", (chunk) => (said += String(chunk))).on("error", () => {});
      await new Promise((done) => socket.once("end", done).once("close", done));
      return firstLine(said).slice(9, 12);
    });
    expect((await Promise.all(ends)).sort()).toEqual(["", "", "", "", "503", "503"]);
    for (const socket of [silent, ...beyond]) socket.destroy();
  });

  test("few descriptors leave fewer connections, and Core its own", () => {
    expect(egressLimits(Infinity)).toMatchObject({ inAll: 1_024, perRun: 128 });
    expect(egressLimits(1_024)).toMatchObject({ inAll: 208, perRun: 128 });
    expect(egressLimits(256)).toMatchObject({ inAll: 16, perRun: 16 });
    expect(egressLimits(64)).toMatchObject({ inAll: 8, perRun: 8 });
  });

  test("a connection on which nothing moves is ended", async () => {
    const server = await listening(createServer(() => {}));
    const way = await openWayOut({ patterns: [`127.0.0.1:${portOf(server)}`], limits: { idleMs: 60 } });
    expect(await way.talk(`CONNECT 127.0.0.1:${portOf(server)} HTTP/1.1\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("the end of a run ends its connections, whoever holds them", async () => {
    const server = await listening(createServer((socket) => void socket.on("error", () => {})));
    const way = await openWayOut({ patterns: [`127.0.0.1:${portOf(server)}`] });
    const socket = connect({ port: way.port, host: "127.0.0.1" });
    socket.write(`CONNECT 127.0.0.1:${portOf(server)} HTTP/1.1\r\n\r\n`);
    await once(socket, "data");
    const closed = textOf(socket);
    way.egress.close(RUN_ID);
    await closed;
    expect(way.egress.counts(RUN_ID)).toBeUndefined();
    const late = connect({ port: way.port, host: "127.0.0.1" });
    expect(((await once(late, "error")) as [NodeJS.ErrnoException])[0].code).toBe("ECONNREFUSED");
  });
});
