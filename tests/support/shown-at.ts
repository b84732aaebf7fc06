/** When something stands on a page: noted inside of it, in the moment of the change, by the clock that Core records with. */
import type { Page } from "playwright-core";
import { expect } from "vitest";

let watches = 0;

/** Begins to look for `condition`, a JavaScript expression; the answer waits until it is true, and gives that moment in ms. */
export async function shownAt(page: Page, condition: string): Promise<() => Promise<number>> {
  const name = `shown${(watches += 1)}`;
  const isThere = await page.evaluate<boolean>(`(() => {
    globalThis.${name} = null;
    const isShown = () => Boolean(${condition});
    if (isShown()) return true;
    const observer = new MutationObserver(() => {
      if (!isShown()) return;
      globalThis.${name} = Date.now();
      observer.disconnect();
    });
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    return false;
  })()`);
  if (isThere) throw new Error(`it is there already: ${condition}`);
  return async () => {
    const at = (): Promise<number | null> => page.evaluate<number | null>(name);
    await expect.poll(at, { timeout: 15_000 }).not.toBeNull();
    return (await at()) ?? Number.NaN;
  };
}
