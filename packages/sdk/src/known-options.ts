/** Options by the names that are known: one that is spelled otherwise would else be left out without a word. */

/** Throws TypeError, which names the option and those that `what` takes. */
export function refuseUnknown(what: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options))
    if (!known.includes(name)) throw new TypeError(`${what} has no option "${name}"; it takes ${known.join(", ")}`);
}
