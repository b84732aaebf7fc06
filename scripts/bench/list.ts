/** A short command: what asking Core for its list of agents takes, over a program that does nothing. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { benchHome, OPENSENTIENCE, output, PINNED_NODE, plantManifests } from "./bench-home.ts";
import { type Figure, ratioOf, sideBySide, timed } from "./figure.ts";

const AGENTS = 20;
/** Each round takes each so often: one start of a process alone is mostly the noise of the machine. */
const STARTS = 5;

export const figure: Figure = {
  name: "list",
  subject: `\`opensentience agents list --json\` with ${AGENTS} agents, Core running.`,
  floor: "an empty script",
  target: 2.2,
  async measure(rounds) {
    const home = benchHome();
    try {
      plantManifests(home, AGENTS);
      await home.cli("agents", "scan");
      const empty = join(home.root, "empty.js");
      writeFileSync(empty, "\n");
      const start = (...argv: string[]): Promise<string> => output(argv, home.env, home.root);
      const list = async (): Promise<void> => {
        const { items } = JSON.parse(await start(OPENSENTIENCE, "agents", "list", "--json")) as { items: unknown[] };
        if (items.length !== AGENTS) throw new Error(`the list has ${items.length} agents`);
      };
      const pair = await sideBySide(
        rounds,
        () => each(() => start(PINNED_NODE, empty)),
        () => each(list),
      );
      return ratioOf(pair);
    } finally {
      await home.dispose();
    }
  },
};

/** The mean of several starts, in ms. */
async function each(act: () => Promise<unknown>): Promise<number> {
  let totalMs = 0;
  for (let count = 0; count < STARTS; count += 1) totalMs += await timed(act);
  return totalMs / STARTS;
}
