import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { findGit, type GitProgram, type GitUrl, parseGitUrl } from "../../packages/core/src/install/git.ts";
import { heldGit, type GitEgress } from "../../packages/core/src/install/git-sandbox.ts";
import { probeSandbox } from "../../packages/core/src/sandbox/sandbox.ts";

/** Where Debian keeps its programs; tests do not read the environment. */
const SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin";

const NO_WAY_OUT: GitEgress = {
  open: async (_use, listener) => void listener.close(),
  close: () => undefined,
};

type FileSpec = string | Uint8Array | { text: string | Uint8Array; mode: number };

export async function sandboxedGit(
  egress: GitEgress = NO_WAY_OUT,
  toolPath: string = SYSTEM_PATH,
): Promise<GitProgram> {
  return heldGit({
    probe: await probeSandbox(toolPath),
    sandboxMode: "required",
    toolPath,
    workMark: "home-of-a-test.",
    core: { operatorHome: "/nonexistent", own: [] },
    sshAuthSocket: undefined,
    egress,
    agentId: "com.example.fetched",
    act: { actor: { type: "human", id: "operator" }, correlationId: null },
  });
}

/** A real git repository in a temporary folder, made by the real git; hostile trees by plumbing. */
export class GitSource {
  readonly root = mkdtempSync(join(tmpdir(), "git-source-"));
  readonly folder = join(this.root, "source");
  /** Core's own bare repository would be here. */
  readonly repoFolder = join(this.root, "core/git");
  readonly git: GitProgram;

  private constructor(git: GitProgram) {
    this.git = git;
  }

  static async create(): Promise<GitSource> {
    const source = new GitSource(await findGit(SYSTEM_PATH));
    await mkdir(source.folder);
    await source.run(["init", "--quiet", "--template=", "--initial-branch=main"]);
    return source;
  }

  get url(): GitUrl {
    return parseGitUrl(this.folder, { allowSsh: false, allowLocal: true });
  }

  /** The source as if it had been fetched already: what plumbing made is read without git's own checks. */
  get fetched(): { git: GitProgram; repoFolder: string } {
    return { git: this.git, repoFolder: join(this.folder, ".git") };
  }

  /** Runs git in the source; fails the test when git fails. Returns trimmed stdout. */
  async run(command: string[], input?: string | Uint8Array): Promise<string> {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"];
    const result = await runTool([this.git.gitPath, ...identity, ...command], {
      cwd: this.folder,
      env: { PATH: SYSTEM_PATH, HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" },
      timeoutMs: 60_000,
      maxBytes: 1024 * 1024,
      ...(input === undefined ? {} : { input }),
    });
    if (result.exitCode !== 0) throw new Error(`git ${command.join(" ")}: ${result.stderr.toString()}`);
    return result.stdout.toString().trim();
  }

  async commit(files: Record<string, FileSpec>): Promise<string> {
    for (const [path, spec] of Object.entries(files)) {
      const { text, mode } = typeof spec === "object" && "text" in spec ? spec : { text: spec, mode: 0o644 };
      await mkdir(dirname(join(this.folder, path)), { recursive: true });
      await writeFile(join(this.folder, path), text, { mode });
    }
    await this.run(["add", "--all"]);
    await this.run(["commit", "--quiet", "--message=change"]);
    return await this.run(["rev-parse", "HEAD"]);
  }

  blob(bytes: string | Uint8Array): Promise<string> {
    return this.run(["hash-object", "-w", "--stdin"], bytes);
  }

  /** A tree of `<mode> <type> <id>\t<name>` rows, written byte for byte: names and orders that git refuses are possible. */
  async tree(rows: { mode: string; id: string; name: string | Uint8Array }[]): Promise<string> {
    const raw = rows.flatMap((row) => [
      Buffer.from(`${row.mode} `),
      Buffer.from(row.name),
      Buffer.of(0),
      Buffer.from(row.id, "hex"),
    ]);
    return await this.run(["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], Buffer.concat(raw));
  }

  /** A commit of that tree on `main`. */
  async commitTree(tree: string): Promise<string> {
    const commit = await this.run(["commit-tree", "-m", "hostile", tree]);
    await this.run(["update-ref", "refs/heads/main", commit]);
    return commit;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
