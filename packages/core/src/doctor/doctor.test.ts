import { expect, test } from "vitest";
import { checkUser } from "./doctor.ts";

test("warns of a Core that runs as root", () => {
  expect(checkUser(0)).toMatchObject({ status: "warn", message: expect.stringContaining("as root") as unknown });
  expect(checkUser(1000)).toMatchObject({ status: "ok", next_step: null });
});
