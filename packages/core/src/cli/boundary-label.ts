/** The sentence that stands before every act that lets third-party code run. */
import { oneLine, type Style } from "./format.ts";

export function boundaryLabel(style: Style, act: string): string {
  return `${style.paint("yellow", "executes third-party code:")} ${oneLine(act)}`;
}
