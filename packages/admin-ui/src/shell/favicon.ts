/** The page in the row of tabs: how many agents run, and a red dot where something needs a person. */

export type TabState = { running: number; trouble: string | null };

export function showTabState({ running, trouble }: TabState, title: string): void {
  const count = running === 0 ? "" : `(${running}) `;
  document.title = `${trouble === null ? "" : "! "}${count}${title} · OpenSentience`;
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  if (link !== null) link.href = `data:image/svg+xml,${encodeURIComponent(picture(running, trouble !== null))}`;
}

function picture(running: number, isTrouble: boolean): string {
  const ring = running > 0 ? "#3aa675" : "#7c7f92";
  const text = running > 99 ? "99" : String(running);
  const middle =
    running > 0
      ? `<text x="16" y="21.5" font-family="system-ui,sans-serif" font-size="15" font-weight="700" text-anchor="middle" fill="${ring}">${text}</text>`
      : `<circle cx="16" cy="16" r="4.5" fill="${ring}"/>`;
  const dot = isTrouble ? `<circle cx="25" cy="7" r="6.5" fill="#e5484d" stroke="#fff" stroke-width="1.5"/>` : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="13" fill="none" stroke="${ring}" stroke-width="3.5"/>${middle}${dot}</svg>`;
}
