/** A git server of this machine with TLS, by git's own http-backend, and what a git needs to trust it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export type GitServer = {
  port: number;
  /** Of the repository at `folder`. */
  url: string;
  /** File of the certificate that the server shows, which vouches for itself. */
  certificate: string;
  /** Paths that were asked for. */
  requests: string[];
};

/** Serves the repository at `folder/.git`, or sends everybody on to `redirect`. */
export async function serveGit(folder: string, redirect?: string): Promise<GitServer> {
  const keys = mkdtempSync(join(tmpdir(), "git-server-"));
  const [key, certificate] = [join(keys, "key.pem"), join(keys, "certificate.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  const kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("/usr/bin/openssl", ["req", ...kind, ...subject, "-keyout", key, "-out", certificate], {
    stdio: "pipe",
  });
  const requests: string[] = [];
  const server: Server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (request, response) => {
      requests.push(request.url ?? "");
      if (redirect === undefined) serveByBackend(folder, request, response);
      else response.writeHead(302, { location: `${redirect}${request.url ?? ""}` }).end();
    },
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    rmSync(keys, { recursive: true, force: true });
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `https://127.0.0.1:${port}/source.git`, certificate, requests };
}

/** One request by CGI. */
function serveByBackend(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "https://127.0.0.1");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      GIT_PROJECT_ROOT: join(folder, ".git"),
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      PATH_INFO: url.pathname.replace(/^\/source\.git/, ""),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      HTTP_GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(backend.stdin);
  backend.stdin.on("error", () => {});
  let head = "";
  backend.stdout.on("data", function read(chunk: Buffer) {
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    backend.stdout.off("data", read);
    const fields = head
      .slice(0, end)
      .split("\r\n")
      .map((line) => line.split(": ", 2) as [string, string]);
    const status = fields.find(([name]) => name === "Status")?.[1];
    response.writeHead(
      Number(status?.slice(0, 3) ?? 200),
      Object.fromEntries(fields.filter(([name]) => name !== "Status")),
    );
    response.write(Buffer.from(head.slice(end + 4), "latin1"));
    backend.stdout.pipe(response);
  });
}
