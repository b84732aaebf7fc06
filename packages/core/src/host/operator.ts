/** Who runs Core, by number and login. */
import { userInfo } from "node:os";

/** `uid:<n>(<login>)`: attribution of the control socket, which is its owner's. */
export function operatorId(): string {
  const uid = process.getuid?.() ?? 0;
  try {
    return `uid:${uid}(${userInfo().username})`;
  } catch {
    return `uid:${uid}`;
  }
}
