/** Light, dark, or as the system has it. Kept in this browser only. */
import { Store } from "../live/store.ts";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "opensentience-theme";

export const themeStore = new Store<Theme>(stored());

export function applyTheme(theme: Theme): void {
  themeStore.set(theme);
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be forbidden; then the choice holds for this tab.
  }
}

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === found) ?? "system";
  } catch {
    return "system";
  }
}
