import { type RefObject, useLayoutEffect, useState } from "react";

/** What stands below the box: the line that counts, and the margin of the page. */
const BELOW_PX = 80;
/** With less than that of it on the screen it is better scrolled to: it then takes the height that its style gives it. */
const LEAST_PX = 240;

/** The height in px with which an element reaches to the end of the window; undefined where it begins too far down. */
export function useFill(element: RefObject<HTMLElement | null>): number | undefined {
  const [height, setHeight] = useState<number>();
  useLayoutEffect(() => {
    const measure = (): void => {
      const { current } = element;
      if (current === null) return;
      const top = Math.round(current.getBoundingClientRect().top + window.scrollY);
      const left = window.innerHeight - top - BELOW_PX;
      setHeight(left < LEAST_PX ? undefined : left);
    };
    measure();
    // Whatever comes or goes above it moves it.
    const above = new ResizeObserver(measure);
    above.observe(document.body);
    window.addEventListener("resize", measure);
    return () => {
      above.disconnect();
      window.removeEventListener("resize", measure);
    };
  }, [element]);
  return height;
}
