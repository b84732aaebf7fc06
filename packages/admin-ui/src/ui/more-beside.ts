/**
 * For the ref of a strip that is scrolled sideways where it is wider than the screen: `data-more` names the sides on
 * which there is more, which then fade. A browser shows a scroll bar there only while somebody scrolls.
 */
export function moreBeside(strip: HTMLElement | null): (() => void) | undefined {
  if (strip === null) return undefined;
  const look = (): void => {
    const left = Math.round(strip.scrollLeft);
    const room = strip.scrollWidth - strip.clientWidth;
    const sides = [...(left > 1 ? ["left"] : []), ...(left < room - 1 ? ["right"] : [])];
    if (sides.length === 0) delete strip.dataset["more"];
    else strip.dataset["more"] = sides.join(" ");
  };
  // Chromium leaves what has the focus where it is as long as some of it is seen.
  const show = ({ target }: FocusEvent): void =>
    void (target instanceof HTMLElement && target.scrollIntoView({ block: "nearest", inline: "nearest" }));
  strip.addEventListener("scroll", look, { passive: true });
  strip.addEventListener("focusin", show);
  const sizes = new ResizeObserver(look);
  sizes.observe(strip);
  // What comes or goes inside changes how wide it would be, not how wide it is.
  const parts = new MutationObserver(look);
  parts.observe(strip, { childList: true, subtree: true, characterData: true });
  look();
  return () => {
    strip.removeEventListener("scroll", look);
    strip.removeEventListener("focusin", show);
    sizes.disconnect();
    parts.disconnect();
  };
}

/** For the ref of the chosen button of a strip: its place comes to the middle. */
export function intoStrip(chosen: HTMLElement | null): void {
  const place = chosen?.parentElement;
  const strip = place?.parentElement;
  if (place == null || strip == null) return;
  strip.scrollLeft = place.offsetLeft - strip.offsetLeft - (strip.clientWidth - place.offsetWidth) / 2;
}
