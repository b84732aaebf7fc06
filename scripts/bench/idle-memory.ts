/** What a Core that has nothing to do keeps of the machine's memory, with many agents in its catalog. */
import { setTimeout as delay } from "node:timers/promises";
import { type BenchHome, benchHome, plantManifests, residentBytes } from "./bench-home.ts";
import { type Figure, median } from "./figure.ts";

const AGENTS = 200;
const IDLE_MS = 30_000;

export const figure: Figure = {
  name: "idle-memory",
  subject: `Resident memory of Core, ${IDLE_MS / 1000} s after a scan that found ${AGENTS} agents.`,
  floor: "none",
  target: 90,
  async measure(rounds) {
    const home = benchHome();
    try {
      plantManifests(home, AGENTS);
      const seen: number[] = [];
      for (let round = 0; round < rounds; round += 1) seen.push(await idleMegabytes(home));
      const subject = median(seen);
      return { floor: null, subject, ratio: subject, unit: "MB", notes: [] };
    } finally {
      await home.dispose();
    }
  },
};

/** A fresh Core each time. */
async function idleMegabytes(home: BenchHome): Promise<number> {
  await home.cli("core", "restart");
  const { found } = JSON.parse(await home.cli("agents", "scan", "--json")) as { found: number };
  if (found !== AGENTS) throw new Error(`the scan found ${found} agents`);
  const pid = await home.corePid();
  await delay(IDLE_MS);
  return residentBytes(pid) / 1e6;
}
