import { useStore } from "../live/store.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { applyTheme, type Theme, THEMES, themeStore } from "./theme.ts";

const LOOKS: Record<Theme, { name: string; icon: IconName }> = {
  system: { name: "As the system", icon: "screen" },
  light: { name: "Light", icon: "sun" },
  dark: { name: "Dark", icon: "moon" },
};

export function ThemeSwitch() {
  const now = useStore(themeStore);
  return (
    <div className="themes" role="group" aria-label="Colours">
      {THEMES.map((theme) => (
        <button
          key={theme}
          type="button"
          className="theme"
          aria-pressed={theme === now}
          aria-label={LOOKS[theme].name}
          title={LOOKS[theme].name}
          onClick={() => applyTheme(theme)}
        >
          <Icon name={LOOKS[theme].icon} size={15} />
        </button>
      ))}
    </div>
  );
}
