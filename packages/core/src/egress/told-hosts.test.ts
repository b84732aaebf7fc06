import { expect, test } from "vitest";
import { ToldHosts } from "./told-hosts.ts";

test("each host and port is news once, and neither many ports nor many hosts fill a log", () => {
  const told = new ToldHosts(11);
  expect([told.take("a", 1), told.take("a", 1), told.take("a", 2)]).toEqual([true, false, true]);
  const ports = Array.from({ length: 1_000 }, (_, port) => told.take("b", port));
  expect(ports.filter(Boolean)).toHaveLength(8);
  expect([told.take("c", 1), told.take("d", 1), told.take("c", 2)]).toEqual([true, false, false]);
});
