/** The sentence that goes with every act that lets third-party code run: before a question, and once Core let it run. */
import { oneLine, type Style } from "./format.ts";

export function boundaryLabel(style: Style, act: string): string {
  return `${style.paint("yellow", "executes third-party code:")} ${oneLine(act)}`;
}
