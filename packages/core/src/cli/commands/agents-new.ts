/**
 * Writes an agent to begin with: a manifest, a program of about ten lines with one tool, the SDK as one file, a README with
 * the next commands. Needs no Core and runs nothing, git neither: a first commit is its author's, under its author's name.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { CoreError, echoText, parseManifest } from "@opensentience/protocol";
import { type CommandContext, required } from "../context.ts";

const HELP = "opensentience help agents new";
/** Beside the bundle; from the source tree, where the bundle is made. */
const SDK_PLACES = ["./sdk.js", "../../../dist/sdk.js"];

export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const typed = required(context, 0);
  const folder = resolve(typed);
  const label = labelOf(basename(folder));
  const agentId = options.text("id") ?? (label === "" ? "" : `local.${label}`);
  const name = options.text("name") ?? nameOf(label);
  const manifest = manifestOf(agentId, name);
  const sdk = SDK_PLACES.map((place) => new URL(place, import.meta.url)).find((place) => existsSync(place));
  if (sdk === undefined) {
    throw new CoreError("usage.invalid", "the SDK is not built yet; in the source tree run: npm run prepare", {
      nextStep: HELP,
    });
  }
  const files: Record<string, string> = {
    "opensentience.agent.json": `${JSON.stringify(manifest, null, 2)}\n`,
    "main.js": PROGRAM,
    "package.json": `${JSON.stringify({ private: true, type: "module" }, null, 2)}\n`,
    "README.md": readme(agentId, name),
    ".gitignore": "node_modules/\n*.log\n",
  };
  await inEmptyFolder(folder, async () => {
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text, { flag: "wx" });
    await copyFile(sdk, join(folder, "opensentience-sdk.js"));
  });
  const nextStep = `opensentience agents install --dev ${/^[\w./~+-]+$/.test(typed) ? typed : `'${typed.replaceAll("'", String.raw`'\''`)}'`}`;
  const made = {
    agent_id: agentId,
    name,
    path: folder,
    files: [...Object.keys(files), "opensentience-sdk.js"].toSorted(),
    next_step: nextStep,
  };
  output.result(made, (style) =>
    style.fields([
      ["agent", agentId],
      ["folder", folder],
      ["read", join(folder, "README.md")],
    ]),
  );
  output.nextStep(nextStep);
}

function labelOf(folderName: string): string {
  return folderName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
}

function nameOf(label: string): string {
  const words = label.replaceAll("-", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Held to the rules that Core holds it to. Throws `usage.invalid`. */
function manifestOf(id: string, name: string): Record<string, unknown> {
  const manifest = {
    manifest_version: 1,
    id,
    name,
    version: "0.1.0",
    description: "Says hello.",
    // To be replaced when the agent has a repository of its own.
    source: { git_url: `https://example.com/${id}.git` },
    entrypoint: { type: "command", value: "node", args: ["main.js"] },
    permissions: [],
    capabilities: ["tools", "streaming", "cancellation"],
  };
  const parsed = parseManifest(manifest);
  if (parsed.ok) return manifest;
  const [problem] = parsed.problems.filter(({ path }) => path === "id" || path === "name");
  const option = problem?.path === "name" ? "--name" : "--id";
  throw new CoreError("usage.invalid", `${option}: ${problem?.message ?? echoText(id)}`, { nextStep: HELP });
}

/** Throws `usage.invalid` for a folder that holds something, or cannot be written. */
async function inEmptyFolder(folder: string, write: () => Promise<void>): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if ((await readdir(folder)).length === 0) return await write();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "it cannot be written";
    throw new CoreError("usage.invalid", `nothing can be written to ${echoText(folder, 200)} (${reason})`, {
      cause,
      nextStep: HELP,
    });
  }
  throw new CoreError("usage.invalid", `${echoText(folder, 200)} is not empty; name a new folder`, { nextStep: HELP });
}

const PROGRAM = `import { defineAgent, tool } from "./opensentience-sdk.js";

const hello = tool(
  {
    description: "Greets whoever is named.",
    inputSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  },
  ({ name }) => ({ greeting: \`Hello, \${name}!\` }),
);

defineAgent({ version: "0.1.0", tools: { hello } }).run();
`;

function readme(agentId: string, name: string): string {
  return `# ${name}

An agent for OpenSentience Core with one tool, \`hello\`. It needs nothing but Node.js.

Run it where it lies, while you write it:

    opensentience agents install --dev .
    opensentience agents build ${agentId} --yes
    opensentience agents enable ${agentId} --all
    opensentience agents run ${agentId}
    opensentience tools call ${agentId}/hello --input '{"name":"Ada"}'

After a change: \`opensentience agents restart ${agentId}\`. What it prints: \`opensentience agents logs ${agentId}\`.

Give it away as a git repository; from then on what runs is what was approved:

    git init
    git add .
    git commit -m "first version"
    opensentience agents remove ${agentId} --yes
    opensentience agents install "$PWD" --allow-local
    opensentience agents build ${agentId} --yes
    opensentience agents enable ${agentId} --all
    opensentience agents run ${agentId}

- \`main.js\`: the tools. A handler gets the input, which fits its \`inputSchema\`, and \`{ signal, stream, log, call, request }\`.
- \`opensentience.agent.json\`: what the agent is and what it asks for. Correct \`description\` and \`source.git_url\`.
- \`opensentience-sdk.js\`: the SDK, one file without dependencies.
`;
}
