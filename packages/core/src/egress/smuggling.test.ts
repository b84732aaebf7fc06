/** Requests that two programs could read differently. Each is refused before anybody is connected to. */
import { expect, test } from "vitest";
import { echoServer, openWayOut } from "../../../../tests/support/way-out.ts";
import { parseRequest } from "./request-head.ts";

const NEXT = "GET http://inner.example/ HTTP/1.1\r\nHost: inner.example\r\n\r\n";

const HEADS: [name: string, head: string][] = [
  ["no proxy request", "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["every host at once", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["another scheme", "GET https://HOST/ HTTP/1.1\r\n\r\n"],
  ["a file", "GET file:///etc/passwd HTTP/1.1\r\n\r\n"],
  ["no host", "GET http:///path HTTP/1.1\r\n\r\n"],
  ["a host behind user info", "GET http://HOST@evil.example/ HTTP/1.1\r\n\r\n"],
  ["user info", "GET http://user:password@HOST/ HTTP/1.1\r\n\r\n"],
  ["a backslash in the host", "GET http://HOST\\@evil.example/ HTTP/1.1\r\n\r\n"],
  ["a fragment", "GET http://HOST/#@evil.example HTTP/1.1\r\n\r\n"],
  ["an escaped host", "GET http://%31%32%37.0.0.1/ HTTP/1.1\r\n\r\n"],
  ["a space in the path", "GET http://HOST/a b HTTP/1.1\r\n\r\n"],
  ["a tab in the request line", "GET\thttp://HOST/ HTTP/1.1\r\n\r\n"],
  ["two spaces", "GET  http://HOST/ HTTP/1.1\r\n\r\n"],
  ["a line before the request", "\r\nGET http://HOST/ HTTP/1.1\r\n\r\n"],
  ["HTTP/0.9", "GET http://HOST/\r\n\r\n"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["an odd version", "GET http://HOST/ HTTP/1.10\r\n\r\n"],
  ["a lower-case version", "GET http://HOST/ http/1.1\r\n\r\n"],
  ["TLS where a request is due", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ["SOCKS5", "\x05\x01\x00\r\n\r\n"],
  ["CONNECT without a port", "CONNECT HOSTNAME HTTP/1.1\r\n\r\n"],
  ["CONNECT with a URL", "CONNECT http://HOST/ HTTP/1.1\r\n\r\n"],
  ["CONNECT with user info", "CONNECT user@HOST HTTP/1.1\r\n\r\n"],
  ["CONNECT with a length", "CONNECT HOST HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"],
  ["CONNECT with chunks", "CONNECT HOST HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["both lengths", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["two lengths", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
  ["the same length twice", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello"],
  ["a list of lengths", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello"],
  ["a signed length", "POST http://HOST/ HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello"],
  ["a hexadecimal length", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello"],
  ["a length of space", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 1 2\r\n\r\nhello"],
  ["an empty length", "POST http://HOST/ HTTP/1.1\r\nContent-Length:\r\n\r\n"],
  ["a huge length", "POST http://HOST/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"],
  ["an unknown coding", "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["two codings", "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
  [
    "identity before chunks",
    "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
  ],
  ["chunked with a quote", 'POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'],
  ["chunks in HTTP/1.0", "POST http://HOST/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["a vertical tab before the coding", "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"],
  ["a space before the colon", "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
  ["a folded field", "POST http://HOST/ HTTP/1.1\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n"],
  ["a folded coding", "POST http://HOST/ HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"],
  ["a field without a name", "GET http://HOST/ HTTP/1.1\r\n: x\r\n\r\n"],
  ["a line that is no field", "GET http://HOST/ HTTP/1.1\r\nGET http://inner.example/ HTTP/1.1\r\n\r\n"],
  ["two hosts", "GET http://HOST/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
  ["a bare LF", "GET http://HOST/ HTTP/1.1\r\nX: a\nHost: b\r\n\r\n"],
  ["a bare LF before the end", "GET http://HOST/ HTTP/1.1\r\nX: a\n\nGET http://inner.example/ HTTP/1.1\r\n\r\n"],
  ["only LF", "GET http://HOST/ HTTP/1.1\nHost: a\n\n\r\n\r\n"],
  ["a bare CR", "GET http://HOST/ HTTP/1.1\r\nX: a\rHost: b\r\n\r\n"],
  ["a NUL", "GET http://HOST/ HTTP/1.1\r\nX: a\0b\r\n\r\n"],
  ["a next line that only Unicode knows", "GET http://HOST/ HTTP/1.1\r\nX: a\u0085Host: b\r\n\r\n"],
  ["101 fields", `GET http://HOST/ HTTP/1.1\r\n${"A: b\r\n".repeat(101)}\r\n`],
];

test.each(HEADS)("a request that could be read in two ways is refused: %s", async (_name, head) => {
  const server = await echoServer();
  const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`, "*.example"] });
  const text = head.replaceAll("HOSTNAME", "127.0.0.1").replaceAll("HOST", `127.0.0.1:${server.port}`);
  const answer = await way.talk(Buffer.from(`${text}${NEXT}`, "utf8"));
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[^]*"code":"egress.invalid_request"/);
  expect([answer.match(/HTTP\/1\.1/g), server.connections()]).toEqual([["HTTP/1.1"], 0]);
  expect(way.refusals()).toEqual([{ agent_id: "com.example.reacher", code: "egress.invalid_request" }]);
});

test("a head that is not UTF-8 is refused", async () => {
  const way = await openWayOut({ patterns: ["*"] });
  const answer = await way.talk(Buffer.from("GET http://a.example/ HTTP/1.1\r\nX: \xff\r\n\r\n", "latin1"));
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
});

test.each([
  ["an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"],
  ["a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["0x", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a space", "5 \r\nhello\r\n0\r\n\r\n"],
  ["no size", "\r\nhello\r\n0\r\n\r\n"],
  ["a size without end", `${"0".repeat(40)}5\r\nhello\r\n0\r\n\r\n`],
  ["a size with a bare LF", "5\nhello\r\n0\r\n\r\n"],
  ["a size with a bare CR", "5\rhello\r\n0\r\n\r\n"],
  ["data longer than its size", "4\r\nhello\r\n0\r\n\r\n"],
  ["data with a bare LF behind it", "5\r\nhello\n0\r\n\r\n"],
  ["a trailer", "5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n"],
  ["an end with a bare LF", "5\r\nhello\r\n0\r\n\n"],
])("chunks that could be read in two ways end the connection: %s", async (_name, chunks) => {
  const server = await echoServer();
  const way = await openWayOut({ patterns: [`127.0.0.1:${server.port}`] });
  const head = `POST http://127.0.0.1:${server.port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n`;
  expect(await way.talk(`${head}${chunks}${NEXT}`)).toBe("");
  expect(server.requests).toEqual([]);
  expect(way.refusals()).toMatchObject([{ host: "127.0.0.1", code: "egress.invalid_request" }]);
});

test("what is forwarded is written anew from what was read", () => {
  const request = parseRequest(
    Buffer.from(
      "POST HTTP://EXAMPLE.com?x=1 HTTP/1.1\r\ncontent-length: 007\r\nCONNECTION: a , Content-Length,b\r\nA: 1\r\nB: 2\r\nC:3",
    ),
  );
  expect(request).toEqual({
    kind: "forward",
    target: { host: "example.com", port: 80 },
    body: { kind: "length", bytes: 7 },
    head: "POST /?x=1 HTTP/1.1\r\nHost: example.com\r\nc: 3\r\nContent-Length: 7\r\nConnection: close\r\n\r\n",
  });
});
