/** Ports of one host that are told; an agent may try them all. */
const MAX_PORTS = 8;

/** What was told of a run already. Hosts and ports are the agent's to choose, so both are bounded. */
export class ToldHosts {
  readonly #ports = new Map<string, Set<number>>();
  readonly #most: number;
  #count = 0;

  /** `most`: of all hosts and their ports. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether it is news that there is room for; it is none from then on. */
  take(host: string, port: number): boolean {
    const ports = this.#ports.get(host) ?? new Set();
    if (ports.has(port) || ports.size >= MAX_PORTS || this.#count >= this.#most) return false;
    this.#count += 1;
    this.#ports.set(host, ports.add(port));
    return true;
  }
}
