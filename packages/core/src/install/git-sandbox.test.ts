/** git in its sandbox: what a git that was taken over finds there, and that a real one still reaches its remote. */
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { serveGit } from "../../../../tests/support/git-server.ts";
import { GitSource, sandboxedGit } from "../../../../tests/support/git-source.ts";
import { listening, makeEgress, portOf } from "../../../../tests/support/way-out.ts";
import { runGit, type GitCall } from "./git-command.ts";
import { fetchRepository, parseGitUrl, resolveRef } from "./git.ts";

vi.setConfig({ testTimeout: 60_000 });

const root = mkdtempSync(join(tmpdir(), "git-sandbox-"));
const core = join(root, "core");
const operatorHome = join(root, "operator");
const repoFolder = join(core, "agents/.staging/1/repo.git");
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach(() => {
  for (const folder of [core, operatorHome]) rmSync(folder, { recursive: true, force: true });
  for (const folder of [repoFolder, join(core, "state"), join(core, "agents/other/data"), join(operatorHome, ".ssh")])
    mkdirSync(folder, { recursive: true });
  for (const file of ["core/state/audit.key", "core/agents/other/data/f", "operator/.ssh/id_ed25519", "operator/notes"])
    writeFileSync(join(root, file), "a secret");
});

const callOf = (call: Partial<GitCall> & Pick<GitCall, "git">): GitCall => ({
  repoFolder,
  transport: "none",
  timeoutMs: 20_000,
  maxBytes: 65_536,
  ...call,
});

/** A search path on which `git` is this script of the shell. */
function toolsWith(script: string): string {
  const folder = mkdtempSync(join(root, "tools-"));
  writeFileSync(join(folder, "git"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${folder}:/usr/local/bin:/usr/bin:/bin`;
}

/** Each line is something tried; what it prints when it worked must never be read. */
async function attempts(script: string, call: Partial<GitCall> = {}, egress = makeEgress({})): Promise<string[]> {
  const made = await egress;
  const git = await sandboxedGit(made.egress, toolsWith(script));
  const { stdout, stderr } = await runGit(["fetch"], callOf({ git, ...call }));
  return `${stdout.toString()}${stderr.toString()}`.split("\n").filter((line) => /^(got|held|done)/.test(line));
}

const tried = (name: string, command: string): string =>
  `if ${command} >/dev/null 2>&1; then echo "got ${name}"; else echo "held ${name}"; fi`;
const isHeld = (lines: string[], count: number): void => {
  expect(lines).toEqual([...Array.from({ length: count }, () => expect.stringMatching(/^held /)), "done"]);
};

describe("a git that was taken over finds nothing but the repository", () => {
  test("of the files", async () => {
    const lines = [
      tried("Core's key", `cat ${core}/state/audit.key`),
      tried("another agent's data", `cat ${core}/agents/other/data/f`),
      tried("what lies beside its repository", `ls ${core}/agents/other`),
      tried("the operator's key", `cat ${operatorHome}/.ssh/id_ed25519`),
      tried("the operator's files", `ls ${operatorHome}`),
      tried("the home of root", "ls /root"),
      tried("homes", "ls /home/*"),
      tried("passwords", "cat /etc/shadow"),
      tried("who uses this machine", "grep -v nologin /etc/passwd | grep -v ':/bin/sh$'"),
      tried("the files behind a process", `ls ${root}/core/state/../../operator /proc/1/root${operatorHome}`),
      tried("a link in its repository", `cat ${repoFolder}/link`),
      tried("a hard link", `ln ${core}/state/audit.key ${repoFolder}/hard`),
      tried("writing to the system", "touch /usr/local/x /etc/x"),
      tried("a kernel setting", "echo x > /proc/sys/kernel/core_pattern"),
      tried("a mount", "mount -t tmpfs x /tmp"),
      tried("a namespace", "unshare -Ur true"),
      tried("a socket of the system", "ls /run/user /run/systemd /var/run/docker.sock"),
      tried("a call without its marker", '[ "$OPENSENTIENCE_RUN_ID" != home-of-a-test.git ]'),
      tried("processes of others", `kill -0 ${process.pid}`),
    ];
    symlinkSync(join(core, "state/audit.key"), join(repoFolder, "link"));
    const beside = `touch ${repoFolder}/../x; rm -rf ${core}/agents/other`;
    isHeld(await attempts([...lines, beside, "echo done"].join("\n"), { writes: true }), lines.length);
    expect(readdirSync(join(repoFolder, ".."))).toEqual(["repo.git"]);
    expect(readdirSync(join(core, "agents/other/data"))).toEqual(["f"]);
  });

  test("of the network, when it reads what is here", async () => {
    let connections = 0;
    const server = await listening(createServer(() => (connections += 1)));
    const abstract = await listening(createServer(() => (connections += 1)));
    const path = `\0git-sandbox-${process.pid}`;
    const unix = createServer(() => (connections += 1)).listen({ path });
    onTestFinished(() => void unix.close());
    await once(unix, "listening");
    const url = `http://127.0.0.1:${portOf(server)}/`;
    const lines = [
      tried("this machine", `curl -m 3 ${url}`),
      tried("a proxy", `curl -m 3 -x http://127.0.0.1:61080 ${url}`),
      tried("a public address", "curl -m 3 http://8.8.8.8/"),
      tried("a name", "getent hosts example.com"),
      tried("an abstract socket", `curl -m 3 --abstract-unix-socket ${path.slice(1)} http://x/`),
      tried("IPv6", `curl -m 3 http://[::1]:${portOf(abstract)}/`),
    ];
    isHeld(await attempts([...lines, "echo done"].join("\n")), lines.length);
    expect(connections).toBe(0);
  });

  test("of the network but its remote, when it asks one", async () => {
    let others = 0;
    const answer = "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok".replaceAll(
      "\\r\\n",
      "\r\n",
    );
    const remote = await listening(createServer((socket) => void socket.on("error", () => {}).end(answer)));
    const other = await listening(createServer((socket) => void ((others += 1), socket.destroy())));
    const proxied = "curl -f -m 3 -x http://127.0.0.1:61080";
    const lines = [
      tried("another port", `${proxied} http://127.0.0.1:${portOf(other)}/`),
      tried("another address", `${proxied} http://127.0.0.2:${portOf(remote)}/`),
      tried("its remote by another name", `${proxied} http://localhost:${portOf(remote)}/`),
      tried("a public host", `${proxied} http://example.com/`),
      tried("a tunnel to elsewhere", `${proxied} -p http://127.0.0.1:${portOf(other)}/`),
      tried("the remote past the proxy", `curl -m 3 http://127.0.0.1:${portOf(remote)}/`),
    ];
    const own = tried("its remote", `${proxied} http://127.0.0.1:${portOf(remote)}/`);
    const made = makeEgress({});
    const remoteOf = { host: "127.0.0.1", port: portOf(remote) };
    const found = await attempts(
      [own, ...lines, "echo done"].join("\n"),
      { transport: "https", remote: remoteOf },
      made,
    );
    expect(found.shift()).toBe("got its remote");
    isHeld(found, lines.length);
    expect(others).toBe(0);
    const { rows, refusals } = await made;
    expect(
      refusals()
        .filter(({ phase }) => phase === undefined)
        .map(({ host, code }) => `${String(host)} ${String(code)}`),
    ).toEqual([
      "127.0.0.1 egress.not_approved",
      "127.0.0.2 egress.not_approved",
      "localhost egress.not_approved",
      "example.com egress.not_approved",
    ]);
    expect(rows()[0]).toMatchObject({ subject_type: "agent", subject_id: "com.example.fetched", actor_id: "operator" });
  });

  test("and changes it only where the call writes", async () => {
    const script = `${tried("a change", `touch ${repoFolder}/x`)}\necho done`;
    isHeld(await attempts(script), 1);
    expect(await attempts(script, { writes: true })).toEqual(["got a change", "done"]);
  });

  test("of a local source its repository alone, and that it cannot change", async () => {
    const source = join(root, "source");
    mkdirSync(join(source, ".git"), { recursive: true });
    writeFileSync(join(source, ".git/HEAD"), "ref: refs/heads/main\n");
    writeFileSync(join(source, ".env"), "TOKEN=1");
    const lines = [
      tried("a file that is not committed", `cat ${source}/.env`),
      tried("a hook for the operator", `mkdir ${source}/.git/hooks`),
      tried("a changed ref", `sh -c "echo x > ${source}/.git/HEAD"`),
    ];
    const found = await attempts([tried("HEAD", `cat ${source}/.git/HEAD`), ...lines, "echo done"].join("\n"), {
      transport: "local",
      source,
    });
    expect(found.shift()).toBe("got HEAD");
    isHeld(found, lines.length);
  });
});

describe("a git that is itself", () => {
  const withSource = async (): Promise<GitSource> => {
    const source = await GitSource.create();
    onTestFinished(() => source.remove());
    return source;
  };
  /** The certificate lies beside the program, in a folder of the search path, which every box shows. */
  const trusting = (certificate: string): string => {
    const path = toolsWith('exec /usr/bin/git -c "http.sslCAInfo=${0%/git}/certificate.pem" "$@"');
    copyFileSync(certificate, join(path.slice(0, path.indexOf(":")), "certificate.pem"));
    return path;
  };

  test("fetches over https through the way out", async () => {
    const source = await withSource();
    const commit = await source.commit({ a: "1" });
    const server = await serveGit(source.folder);
    const { egress, refusals } = await makeEgress({});
    const git = await sandboxedGit(egress, trusting(server.certificate));
    const url = parseGitUrl(server.url, { allowSsh: false, allowLocal: false });
    await fetchRepository({ git, url, repoFolder, timeoutMs: 30_000, maxBytes: 1e7 });
    expect(await resolveRef({ git, repoFolder }, "main")).toEqual({ commit, ref: "main" });
    expect(server.requests).toContain("/source.git/git-upload-pack");
    expect(refusals()).toEqual([]);
  });

  test("trusts no certificate because of the way out", async () => {
    const source = await withSource();
    await source.commit({ a: "1" });
    const server = await serveGit(source.folder);
    const { egress } = await makeEgress({});
    const url = parseGitUrl(server.url, { allowSsh: false, allowLocal: false });
    const fetching = fetchRepository({
      git: await sandboxedGit(egress),
      url,
      repoFolder,
      timeoutMs: 30_000,
      maxBytes: 1e7,
    });
    await expect(fetching).rejects.toMatchObject({
      code: "install.clone_failed",
      message: expect.stringContaining("certificate"),
    });
    expect(server.requests).toEqual([]);
  });

  test("is not sent on to another host or port, and says so", async () => {
    const source = await withSource();
    await source.commit({ a: "1" });
    const other = await serveGit(source.folder);
    const server = await serveGit(source.folder, `https://127.0.0.1:${other.port}`);
    const { egress, refusals } = await makeEgress({});
    const git = await sandboxedGit(egress, trusting(server.certificate));
    const url = parseGitUrl(server.url, { allowSsh: false, allowLocal: false });
    await expect(fetchRepository({ git, url, repoFolder, timeoutMs: 30_000, maxBytes: 1e7 })).rejects.toMatchObject({
      code: "install.clone_failed",
      message: `git could not fetch the repository: it was sent on to 127.0.0.1:${other.port}, and is let to the host of the URL only`,
    });
    expect(refusals()).toMatchObject([{ host: "127.0.0.1", port: other.port, code: "egress.not_approved" }]);
    expect([server.requests.length, other.requests]).toEqual([1, []]);
  });

  test("says why the way out did not lead there", async () => {
    const { egress } = await makeEgress({ resolve: async () => ["127.0.0.1"] });
    const git = await sandboxedGit(egress);
    for (const [text, said] of [
      ["https://127.0.0.1:1/a.git", "127.0.0.1:1 cannot be connected to"],
      ["https://rebound.example/a.git", "rebound.example:443 is an address of this machine"],
    ] as const) {
      const url = parseGitUrl(text, { allowSsh: false, allowLocal: false });
      const fetching = fetchRepository({ git, url, repoFolder, timeoutMs: 30_000, maxBytes: 1e7 });
      await expect(fetching).rejects.toMatchObject({ message: expect.stringContaining(said) });
    }
  });

  test("speaks ssh to its host through the way out", async () => {
    const { promise: greeting, resolve } = Promise.withResolvers<string>();
    const server = await listening(
      createServer((socket) => {
        socket
          .on("error", () => {})
          .once("data", (data) => {
            resolve(data.toString("latin1"));
            socket.destroy();
          });
      }),
    );
    const { egress } = await makeEgress({});
    const git = await sandboxedGit(egress);
    const url = parseGitUrl(`ssh://git@127.0.0.1:${portOf(server)}/a.git`, { allowSsh: true, allowLocal: false });
    const fetching = fetchRepository({ git, url, repoFolder, timeoutMs: 30_000, maxBytes: 1e7 });
    await expect(fetching).rejects.toMatchObject({ code: "install.clone_failed" });
    expect(await greeting).toMatch(/^SSH-2\.0-/);
  });

  test.each([
    ["a linked worktree", [".git"], "gitdir: /elsewhere\n"],
    ["borrowed objects", [".git/objects/info/alternates"], "/elsewhere/objects\n"],
  ])("a local source that borrows from another repository is refused: %s", async (_what, [path = ""], text) => {
    const source = await withSource();
    await source.commit({ a: "1" });
    if (path === ".git") rmSync(join(source.folder, ".git"), { recursive: true });
    writeFileSync(join(source.folder, path), text);
    const git = await sandboxedGit();
    const fetching = fetchRepository({ git, url: source.url, repoFolder, timeoutMs: 30_000, maxBytes: 1e7 });
    await expect(fetching).rejects.toMatchObject({ code: "install.clone_failed", details: { pointer: path } });
  });
});
