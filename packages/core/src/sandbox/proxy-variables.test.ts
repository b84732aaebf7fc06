import { expect, test } from "vitest";
import { egressPatterns, proxyVariables } from "./proxy-variables.ts";

test("only approved network:egress has patterns, whole ones", () => {
  const approved = ["filesystem:read:/a", "network:egress:[::1]:80", "network:egress:*", "network:ingress:*", "egress"];
  expect(egressPatterns([...approved, "network:egress"])).toEqual(["[::1]:80", "*"]);
});

test("every client is told of the proxy, and asks the run's own servers directly", () => {
  const proxy = "http://127.0.0.1:61080";
  const direct = "localhost,127.0.0.1,::1";
  expect(proxyVariables(["*", "example.com:443"])).toEqual({
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    ALL_PROXY: proxy,
    all_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: "1",
  });
});

test.each([
  [["127.0.0.1:8080"], "localhost,::1"],
  [["0x7f.1:8080"], "localhost,::1"],
  [["LOCALHOST:1", "[::1]:1"], "127.0.0.1"],
  [["::1"], "localhost,127.0.0.1"],
  [["not a host", ""], "localhost,127.0.0.1,::1"],
])("a loopback that the approval names means this machine's: %j", (patterns, direct) => {
  expect(proxyVariables(patterns)["NO_PROXY"]).toBe(direct);
});
