// Loaded into Core with --import: its wall clock is off by what a file says, as after a jump. Monotonic time is untouched.
import { readFileSync } from "node:fs";

const file = process.env.OPENSENTIENCE_TEST_CLOCK;
const RealDate = Date;
const shift = () => {
  try {
    return Number(readFileSync(file, "utf8")) || 0;
  } catch {
    return 0;
  }
};

class ShiftedDate extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + shift());
    else super(...given);
  }

  static now() {
    return RealDate.now() + shift();
  }
}

globalThis.Date = ShiftedDate;
