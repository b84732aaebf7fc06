/** The event stream over real HTTP: what comes, to whom, in which order, and when it ends. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { streamEventJson, type AuditEventJson } from "@opensentience/protocol";
import { type CoreHome, eventually, newHome, writeFiles } from "../support/core-home.ts";
import { type EventStream, PageClient, proof, type SentEvent, type SignedIn } from "../support/page-client.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

const SOON_MS = 1_000;

let home: CoreHome;
let page: PageClient;
let me: SignedIn;
const streams: EventStream[] = [];
beforeAll(async () => {
  home = await newHome();
  page = await PageClient.of(home);
  me = await page.signIn();
});
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close();
});
afterAll(() => home.dispose());

async function listen(query = "", headers: Record<string, string> = {}, by = me): Promise<EventStream> {
  const stream = await page.stream(query, { ...proof(by), ...headers });
  expect(stream.status).toBe(200);
  streams.push(stream);
  await stream.until(({ event }) => event === "hello", "hello");
  return stream;
}

const agentIds = ({ data }: SentEvent): string[] => (data as { agent_ids: string[] }).agent_ids;
const auditRows = (stream: EventStream): AuditEventJson[] =>
  stream.named("audit").flatMap(({ data }) => (data as { items: AuditEventJson[] }).items);
const isCatalogOf = (agentId: string) => (event: SentEvent) =>
  event.event === "catalog" && agentIds(event).includes(agentId);

describe("a stream", () => {
  test("begins with hello, and every event has the shape of the description", async () => {
    const stream = await listen();
    const { instance_id } = await home.json<{ instance_id: string }>(["core", "status"]);
    expect(stream.events[0]).toMatchObject({ event: "hello", data: { instance_id, audit_seq: expect.any(Number) } });
    await smallAgentAt(home, "com.example.shape", "running");
    await stream.until(({ event }) => event === "metrics", "metrics");
    for (const { event, data } of stream.events)
      expect(streamEventJson.safeParse({ event, data }).error, event).toBeUndefined();
    expect(new Set(stream.events.map(({ event }) => event))).toEqual(
      new Set(["hello", "catalog", "runs", "audit", "metrics"]),
    );
    expect(new Set(stream.events.map(({ id }) => id)).size).toBe(stream.events.length);
  });

  test("tells every act of a command, to everybody who listens, within a second", async () => {
    const other = await page.signIn();
    const two = [await listen(), await listen("?topics=catalog,runs,audit", {}, other)];
    const acts: [string[], string][] = [
      [["agents", "build", "com.example.told", "--yes"], "agent.built"],
      [["agents", "enable", "com.example.told", "--all"], "agent.enabled"],
      [["agents", "run", "com.example.told"], "agent.run_started"],
      [["agents", "stop", "com.example.told"], "agent.run_stopped"],
      [["agents", "revoke", "com.example.told"], "agent.permissions_revoked"],
    ];
    await smallAgentAt(home, "com.example.told", "installed");
    for (const stream of two) await stream.until(isCatalogOf("com.example.told"), "the install");
    for (const [args, type] of acts) {
      const from = two.map((stream) => stream.events.length);
      await home.json(args);
      const doneMs = performance.now();
      for (const [index, stream] of two.entries()) {
        const told = await stream.until(isCatalogOf("com.example.told"), type, from[index]);
        expect(told.receivedMs - doneMs, type).toBeLessThan(SOON_MS);
        await stream.until(() => auditRows(stream).some(({ event_type }) => event_type === type), type);
      }
    }
    const runs = two[0]?.named("runs").flatMap(({ data }) => (data as { items: { status: string }[] }).items) ?? [];
    expect(runs.map(({ status }) => status)).toEqual(expect.arrayContaining(["running", "stopped"]));
    const [first, second] = two.map((stream) => auditRows(stream).map(({ seq }) => seq));
    expect(second).toEqual(first?.slice(-(second?.length ?? 0)));
    expect(first).toEqual(first?.toSorted((a, b) => a - b));
  });

  test("on which nothing happens says that it lives, as often as the setting has it", async () => {
    const quiet = await newHome({ settings: { "web.keep_alive_ms": 200 } });
    const client = await PageClient.of(quiet);
    const stream = await client.stream("?topics=logs", proof(await client.signIn()));
    streams.push(stream);
    expect(stream.status).toBe(200);
    const comments = await stream.commentsUntil(3);
    const gaps = comments.slice(1).map((at, index) => at - (comments[index] ?? 0));
    // A timer is never early; how late it is depends on what else the machine does.
    for (const gap of gaps) expect(gap).toBeGreaterThan(150);
    expect(stream.events.map(({ event }) => event)).toEqual(["hello"]);
    const { config } = await home.json<{ config: { key: string; value: unknown }[] }>(["core", "status"]);
    expect(config.find(({ key }) => key === "web.keep_alive_ms")?.value).toBe(15_000);
    stream.close();
    await quiet.dispose();
  });

  test("tells what is no row of the audit log: a folder that is gone, and is there again", async () => {
    await writeFiles(join(home.projects, "seen"), { [MANIFEST]: manifestText("com.example.seen") });
    await home.json(["agents", "scan"]);
    const stream = await listen("?topics=catalog");
    for (const text of [null, manifestText("com.example.seen")]) {
      const from = stream.events.length;
      await writeFiles(join(home.projects, "seen"), { [MANIFEST]: text });
      await home.json(["agents", "scan"]);
      const told = await stream.until(
        isCatalogOf("com.example.seen"),
        text === null ? "that it is gone" : "that it is back",
        from,
      );
      expect(agentIds(told)).toEqual(["com.example.seen"]);
    }
  });

  test("of some topics has nothing of the others", async () => {
    const stream = await listen("?topics=metrics");
    await home.json(["agents", "scan"]);
    await smallAgentAt(home, "com.example.quiet", "installed");
    await stream.until(({ event }) => event === "metrics", "metrics");
    expect(new Set(stream.events.map(({ event }) => event))).toEqual(new Set(["hello", "metrics"]));
  });

  test.each([
    ["an unknown topic", "?topics=catalog,secrets", 400, "usage.invalid"],
    ["no topic", "?topics=", 400, "usage.invalid"],
    [
      "too many runs",
      `?${Array.from({ length: 9 }, (_, index) => `run_id=run_${index}`).join("&")}`,
      400,
      "usage.invalid",
    ],
    ["a run that is none", "?topics=logs&run_id=run_none", 404, "run.not_found"],
  ])("is refused with a proper answer: %s", async (_name, query, status, code) => {
    const answer = await page.ask("GET", `/api/v1/events${query}`, { headers: proof(me) });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expect.objectContaining({ code })]);
  });

  test("is there on the control socket as well", async () => {
    const asked = request({
      socketPath: join(home.folder, "run/core.sock"),
      path: "/api/v1/events?topics=audit",
    }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "text/event-stream"]);
    expect(String((await once(answer, "data"))[0])).toMatch(/^id: .*\nevent: hello\n/);
    asked.destroy();
  });
});

describe("the output of a run", () => {
  test("comes to who watches it, line by line, and of no other run", async () => {
    const text =
      '#!/bin/sh\ncount=0\nwhile :; do count=$((count+1)); echo "line $count <b>&\\033[31m"; sleep 0.2; done\n';
    for (const name of ["one", "two"])
      await smallAgentAt(home, `com.example.${name}`, "running", {}, { "bin/agent": { text, mode: 0o755 } });
    const { items } = await home.json<{ items: { run_id: string; agent_id: string }[] }>(["agents", "ps"]);
    const runId = items.find(({ agent_id }) => agent_id === "com.example.one")?.run_id ?? "";
    const [watching, other] = [await listen(`?topics=logs&run_id=${runId}`), await listen("?topics=logs")];
    const lines = (): string[] =>
      watching
        .named("log")
        .flatMap(({ data }) => (data as { items: { line: string }[] }).items.map(({ line }) => line));
    await watching.until(() => lines().length >= 3, "three lines");
    const first = Number(/line (\d+)/.exec(lines()[0] ?? "")?.[1]);
    expect(lines().slice(0, 3)).toEqual(
      [0, 1, 2].map((index) => expect.stringContaining(`line ${first + index} <b>&`)),
    );
    expect(watching.named("log").every(({ data }) => (data as { run_id: string }).run_id === runId)).toBe(true);
    expect(other.named("log")).toEqual([]);
    for (const name of ["one", "two"]) await home.json(["agents", "stop", `com.example.${name}`]);
  });
});

describe("a listener that comes back", () => {
  test("gets what it missed, and nothing twice", async () => {
    const first = await listen("?topics=catalog,audit");
    const last = first.events.at(-1)?.id ?? "";
    first.close();
    await smallAgentAt(home, "com.example.missed", "installed");
    const second = await listen("?topics=catalog,audit", { "last-event-id": last });
    await second.until(isCatalogOf("com.example.missed"), "what was missed");
    expect(second.named("reset")).toEqual([]);
    const seqs = auditRows(second).map(({ seq }) => seq);
    expect(seqs[0]).toBe(
      ((first.events[0]?.data as { audit_seq: number } | undefined) ?? { audit_seq: -1 }).audit_seq + 1,
    );
    const third = await listen("?topics=catalog,audit", { "last-event-id": second.events.at(-1)?.id ?? "" });
    await home.json(["audit", "checkpoint"]);
    await smallAgentAt(home, "com.example.after", "installed");
    await third.until(isCatalogOf("com.example.after"), "what came after");
    expect(auditRows(third)[0]?.seq).toBe((seqs.at(-1) ?? 0) + 1);
    expect(third.named("catalog").some(isCatalogOf("com.example.missed"))).toBe(false);
  });

  test.each([
    ["of another Core", "00000000-1"],
    ["that is none", "x"],
    ["from the future", "FUTURE"],
    ["with a line", "1%0aevent: x"],
  ])("with an id %s is told to read everything again", async (_name, id) => {
    const now = (await listen()).events[0]?.id ?? "";
    const stream = await listen("", { "last-event-id": id.replace("FUTURE", `${now.split("-")[0]}-999999`) });
    await stream.until(({ event }) => event === "reset", "reset");
    expect(stream.events.slice(0, 2).map(({ event }) => event)).toEqual(["hello", "reset"]);
  });

  test("does not get what was erased in the meantime", async () => {
    const first = await listen("?topics=audit");
    await smallAgentAt(home, "com.example.erased", "installed");
    await first.until(() => auditRows(first).some(({ event_type }) => event_type === "agent.installed"), "the install");
    const row = auditRows(first).find(({ event_type }) => event_type === "agent.installed");
    await home.json(["audit", "erase", String(row?.seq), "--reason", "test", "--yes"]);
    const second = await listen("?topics=audit", { "last-event-id": first.events[0]?.id ?? "" });
    await second.until(({ event }) => event === "reset", "reset");
    expect(JSON.stringify(second.events)).not.toContain("com.example.erased");
  });
});

describe("bounds", () => {
  test("a listener that does not read loses its stream, and nobody else notices", async () => {
    const text = "#!/bin/sh\nyes 0123456789012345678901234567890123456789012345678901234567890123456789\n";
    await smallAgentAt(home, "com.example.flood", "running", {}, { "bin/agent": { text, mode: 0o755 } });
    const { items } = await home.json<{ items: { run_id: string; agent_id: string }[] }>(["agents", "ps"]);
    const runId = items.find(({ agent_id }) => agent_id === "com.example.flood")?.run_id ?? "";
    // Over the socket, whose buffers are small.
    const asked = request({
      socketPath: join(home.folder, "run/core.sock"),
      path: `/api/v1/events?run_id=${runId}`,
    }).end();
    const [slow] = (await once(asked, "response")) as [IncomingMessage];
    slow.pause().on("error", () => {});
    const stream = await listen(`?topics=logs,metrics&run_id=${runId}`);
    await stream.until(
      ({ event, data }) => event === "log" && (data as { skipped?: boolean }).skipped === true,
      "that some is skipped",
    );
    await stream.until(() => stream.bytes > 4_000_000, "more than may wait for anybody");
    // What it has not read yet is in the buffers of the system; then comes the end.
    const closed = new Promise((resolve) => slow.once("close", resolve));
    slow.resume();
    await closed;
    await stream.until(({ event }) => event === "metrics", "what comes after", stream.events.length);
    expect(stream.isOver).toBe(false);
    await home.json(["agents", "stop", "com.example.flood"]);
  });

  test("of streams there are at most 128, and each place that is left is free again", async () => {
    const many = await Promise.all(Array.from({ length: 128 }, () => listen("?topics=catalog")));
    const refused = async (): Promise<number> =>
      (await page.ask("GET", "/api/v1/events", { headers: { ...proof(me), accept: "application/json" } })).status;
    expect(await refused()).toBe(503);
    many[0]?.close();
    await eventually(async () => {
      const stream = await page.stream("", proof(me));
      streams.push(stream);
      return stream.status === 200;
    }, "a free place");
  });
});

test("samples of what runs use are there for who comes later", async () => {
  await smallAgentAt(home, "com.example.used", "running");
  const stream = await listen("?topics=metrics");
  await stream.until(({ event }) => event === "metrics", "a sample");
  const answer = await page.ask("GET", "/api/v1/metrics/history", { headers: proof(me) });
  const { items } = JSON.parse(answer.text) as { items: { at: string }[] };
  expect(items.at(-1)).toEqual(stream.named("metrics").at(-1)?.data);
  expect(items.map(({ at }) => at)).toEqual(items.map(({ at }) => at).toSorted());
});
