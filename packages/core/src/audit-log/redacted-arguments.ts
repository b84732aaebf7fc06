/** Arguments of a program, for the record: each without its secrets. What is shortened is shortened after that. */
import { isSecretName } from "./secret-names.ts";

/**
 * The same number of texts. Beside what is redacted in any text, the argument after an option with a telling name
 * (`--token VALUE`, `-password VALUE`) is one: the name alone says so.
 */
export function redactArguments(values: readonly string[], redact: (text: string) => string): string[] {
  return values.map((value, at) => {
    const option = /^--?([A-Za-z][\w-]{0,80})$/.exec(values[at - 1] ?? "")?.[1];
    if (option === undefined || value.startsWith("-") || !isSecretName(option)) return redact(value);
    return `[redacted:${option}]`;
  });
}

/** At most `limit` UTF-16 units; what is missing is said: `… (12 characters more)`. */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit).toWellFormed()}… (${text.length - limit} characters more)`;
}
