/**
 * Names that say "a secret follows": `password`, `DB_PASS`, `X-Api-Key`, `clientSecret` … A name is split into its
 * words and judged by the last ones, so `author`, `tokenizer`, `token_count`, `secretary` and `passwordless` stay.
 */

const LAST_WORD = /(?:password|passwd|passphrase|passcode|secret|token|apikey|credentials?|cookies?)$/;
const SECRET_WORDS = new Set([
  "passwords",
  "pwd",
  "secrets",
  "authorization",
  "jwt",
  "bearer",
  "mnemonic",
  "accesskey",
  "privatekey",
  "secretkey",
]);
const KEY_KINDS = new Set(
  (
    "api access private secret signing sign encryption encrypt decryption master account sharedaccess shared storage auth " +
    "session service ssh deploy webhook hmac jwt subscription client stripe openai anthropic aws host"
  ).split(" "),
);
const PASS_OWNERS = new Set(
  "db database smtp mail email mysql postgres pg redis mongo user admin root ftp ssh ldap proxy http auth login account my app api service server sudo wifi amqp".split(
    " ",
  ),
);
/** Words before `token` that make it a cursor or a piece of text. */
const HARMLESS_TOKENS = new Set(
  "page continuation cancel cancellation eos bos pad unk mask sep cls start stop end special per first last max min num next unexpected prev previous sync invalid non csrf_field".split(
    " ",
  ),
);
/** Words that may follow the telling word without making it harmless, as in SECRET_KEY_BASE. */
const QUALIFIERS = new Set(
  "base value plain plaintext raw b64 base64 old new prod production staging dev live backup".split(" "),
);

/** Names that were judged before: Core's own keys come with every event. Names from outside must not make it grow. */
const judged = new Map<string, boolean>();
const MOST_JUDGED = 1_000;

/** Whether a key, variable, header or option of this name usually carries a secret. */
export function isSecretName(name: string): boolean {
  const known = judged.get(name);
  if (known !== undefined) return known;
  const isSecret = judge(name);
  if (judged.size < MOST_JUDGED && name.length <= 64) judged.set(name, isSecret);
  return isSecret;
}

function judge(name: string): boolean {
  const words = wordsOf(name);
  if (words.length > 1 && QUALIFIERS.has(words.at(-1) ?? "")) words.pop();
  const last = words.at(-1) ?? "";
  const before = words.at(-2) ?? "";
  if (last === "token" && HARMLESS_TOKENS.has(before)) return false;
  if (last === "key") return KEY_KINDS.has(before);
  if (last === "pass") return PASS_OWNERS.has(before);
  if (last === "phrase") return before === "seed" || before === "pass" || before === "recovery";
  return (
    SECRET_WORDS.has(last) || LAST_WORD.test(last) || /^(?:api|access|secret|private|account|signing)key$/.test(last)
  );
}

function wordsOf(name: string): string[] {
  const words = name
    .slice(-128)
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z]{2,})([A-Z][a-z]{2,})/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/[0-9]+$/, "") || word)
    .filter((word) => word !== "");
  while (words.length > 1 && /^[0-9]+$/.test(words.at(-1) ?? "")) words.pop();
  return words;
}
