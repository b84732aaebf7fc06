import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { classOf, isThisMachine } from "./address-class.ts";

test.each([
  ["8.8.8.8", "public"],
  ["1.0.0.0", "public"],
  ["9.255.255.255", "public"],
  ["11.0.0.0", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.0", "public"],
  ["223.255.255.255", "public"],
  ["2606:4700::1111", "public"],
  ["2a00:1450:4001::1", "public"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["10.0.0.0", "private"],
  ["10.255.255.255", "private"],
  ["100.64.0.1", "private"],
  ["100.127.255.255", "private"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["169.254.169.254", "link_local"],
  ["172.16.0.0", "private"],
  ["172.31.255.255", "private"],
  ["192.0.0.8", "reserved"],
  ["192.168.255.255", "private"],
  ["198.18.0.1", "reserved"],
  ["198.51.100.7", "reserved"],
  ["203.0.113.7", "reserved"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.255", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "reserved"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["::2", "reserved"],
  ["fe80::1", "link_local"],
  ["fe80::1%eth0", "link_local"],
  ["febf::1", "link_local"],
  ["fec0::1", "private"],
  ["fc00::1", "private"],
  ["fdff::1", "private"],
  ["ff02::1", "multicast"],
  ["2001::1", "reserved"],
  ["2001:db8::1", "reserved"],
  ["3fff::1", "reserved"],
  ["4000::1", "reserved"],
  ["64:ff9b:1::a00:1", "reserved"],
  ["100::1", "reserved"],
  ["5f00::1", "reserved"],
  ["::127.0.0.1", "reserved"],
  ["::ffff:0:127.0.0.1", "reserved"],
  ["127.0.0.1.", "reserved"],
  ["127.1", "reserved"],
  ["", "reserved"],
  ["example.com", "reserved"],
])("%s is %s", (address, expected) => {
  expect(classOf(address)).toBe(expected);
});

describe("an IPv4 address inside an IPv6 one is judged as itself", () => {
  const hex = (address: string): string =>
    address
      .split(".")
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join("")
      .replace(/(....)(....)/, "$1:$2");
  test.each([
    ["127.0.0.1", "loopback"],
    ["10.1.2.3", "private"],
    ["169.254.169.254", "link_local"],
    ["100.64.1.1", "private"],
    ["0.0.0.0", "unspecified"],
    ["8.8.8.8", "public"],
  ])("%s", (address, expected) => {
    const found = [`::ffff:${address}`, `::FFFF:${hex(address)}`, `64:ff9b::${address}`, `2002:${hex(address)}::1`].map(
      classOf,
    );
    expect(found).toEqual([expected, expected, expected, expected]);
  });
});

test("an address of this machine is none of the public ones", () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  expect(own).toContain("127.0.0.1");
  for (const address of own) {
    expect(classOf(address)).toMatch(/^(?:loopback|this_machine)$/);
    expect(isThisMachine(address)).toBe(true);
    if (!address.includes(":")) expect(isThisMachine(`::ffff:${address}`)).toBe(true);
  }
  expect(isThisMachine("0.0.0.0")).toBe(true);
  expect(isThisMachine("8.8.8.8")).toBe(false);
});
