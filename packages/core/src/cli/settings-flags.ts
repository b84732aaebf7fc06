/** `--set KEY=VALUE` into the flags that override config.toml. */
import { CoreError } from "@opensentience/protocol";
import { guess, type SettingKey, SETTINGS } from "../host/config.ts";

/** Throws `usage.invalid` for a malformed pair and `config.invalid` for an unknown key; values are checked by Core. */
export function settingFlags(pairs: readonly string[]): Partial<Record<SettingKey, string>> {
  const flags: Partial<Record<SettingKey, string>> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1)
      throw new CoreError("usage.invalid", "--set takes KEY=VALUE", { nextStep: "opensentience core status" });
    const key = pair.slice(0, equals);
    if (!isSetting(key)) {
      const message = `unknown setting "${key.slice(0, 80)}"${guess(key, Object.keys(SETTINGS))}`;
      throw new CoreError("config.invalid", message, {
        details: { key: key.slice(0, 80) },
        nextStep: "opensentience core status",
      });
    }
    flags[key] = pair.slice(equals + 1);
  }
  return flags;
}

function isSetting(key: string): key is SettingKey {
  return Object.hasOwn(SETTINGS, key);
}
