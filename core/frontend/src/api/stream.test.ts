import { describe, expect, it, vi } from "vitest";
import type { RunEvent } from "../lib/run-state";
import { followRun, readEvent, type StreamOptions } from "./stream";

const sse = (n: number, event: string, data: unknown) =>
  `id: r-${n}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const started = sse(1, "run.started", { id: "r", status: "running" });
const delta = (n: number, offset: number, text: string) =>
  sse(n, "message.delta", { message: 1, attempt: 1, offset, text });
const done = (n: number) => sse(n, "run.succeeded", { id: "r", status: "succeeded" });

/** Answers one after another: text is sent in pieces of the given size, a number is a status without a stream. */
function serve(answers: (string | number | Error)[], size = 7) {
  const asked: (string | null)[] = [];
  vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
    asked.push(new Headers(init.headers).get("Last-Event-ID"));
    const answer = answers.shift();
    if (answer === undefined) return new Promise(() => {});
    if (answer instanceof Error) return Promise.reject(answer);
    if (typeof answer === "number")
      return Promise.resolve(new Response(JSON.stringify({ detail: "no" }), { status: answer }));
    const bytes = new TextEncoder().encode(answer);
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    return Promise.resolve(new Response(body, { status: 200 }));
  });
  return asked;
}

async function follow(over: Partial<StreamOptions> = {}) {
  const events: RunEvent[] = [];
  const waits: number[] = [];
  const errors: number[] = [];
  const states: string[] = [];
  let last = 0;
  await followRun({
    run: "r",
    last: () => last,
    onEvent: (event) => {
      events.push(event);
      if (event.type !== "delta") last = event.n;
      return true;
    },
    onStatus: (status) => states.push(status),
    onError: (error) => errors.push(error.status),
    isOver: () => Promise.resolve(true),
    signal: new AbortController().signal,
    wait: async (ms) => {
      waits.push(ms);
    },
    ...over,
  });
  return { events, waits, errors, states };
}

describe("following a run", () => {
  it("reads events however the bytes are cut, and ends with the final one", async () => {
    const asked = serve([started + delta(2, 0, "Grüße 😀") + done(3)], 1);
    const { events, states } = await follow();
    expect(events.map((e) => e.type)).toEqual(["run", "delta", "run"]);
    expect(events[1]).toMatchObject({ delta: { text: "Grüße 😀" } });
    expect(asked).toEqual([null]);
    expect(states.at(-1)).toBe("ended");
  });

  it("connects again after a cut, from the last stored event", async () => {
    const asked = serve([started + delta(2, 0, "half"), new Error("network"), 503, delta(2, 0, "half more") + done(5)]);
    const { events, waits } = await follow();
    expect(asked).toEqual([null, "r-1", "r-1", "r-1"]);
    expect(events.length).toBe(4);
    expect(waits.length).toBe(3);
    expect(waits[0]).toBeLessThanOrEqual(500);
    expect(waits[2]).toBeGreaterThan(waits[0] ?? 0);
  });

  it("waits longer and longer, fifteen seconds at most", async () => {
    serve([...Array.from({ length: 12 }, () => 503), done(1)]);
    const { waits } = await follow();
    expect(Math.max(...waits)).toBeLessThanOrEqual(15_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(7_500);
  });

  it("gives up where asking again cannot help, and says so", async () => {
    serve([404]);
    const { errors, waits } = await follow();
    expect(errors).toEqual([404]);
    expect(waits).toEqual([]);
  });

  it("goes on after the end of an earlier turn", async () => {
    const asked = serve([
      started + done(4),
      sse(6, "message.completed", { index: 2, role: "user", text: "more" }) + done(9),
    ]);
    const answers = [false, true];
    const { events, waits } = await follow({ isOver: () => Promise.resolve(answers.shift() ?? true) });
    expect(asked).toEqual([null, "r-4"]);
    expect(events.length).toBe(4);
    expect(waits).toEqual([]);
  });

  it("connects again when text was lost", async () => {
    const asked = serve([started + delta(2, 9, "gap") + delta(3, 12, "ignored"), done(4)], 10_000);
    const seen: number[] = [];
    await follow({
      onEvent: (event) => {
        seen.push(event.n);
        return event.type !== "delta";
      },
      last: () => 1,
    });
    expect(asked).toEqual(["r-1", "r-1"]);
    expect(seen.at(-1)).toBe(4);
  });

  it("stops at once when it is told to", async () => {
    serve([]);
    const abort = new AbortController();
    abort.abort();
    const { states, events } = await follow({ signal: abort.signal });
    expect(events).toEqual([]);
    expect(states).toEqual([]);
  });
});

describe("reading an event", () => {
  it.each([
    ["an event of a newer server", { id: "r-1", event: "run.paused", data: "{}" }],
    ["an event without a number", { id: "r-x", event: "run.started", data: "{}" }],
    ["an event without an id", { id: undefined, event: "run.started", data: "{}" }],
    ["data that is not JSON", { id: "r-1", event: "run.started", data: "{" }],
  ])("passes over %s", (_, event) => expect(readEvent(event)).toBeNull());

  it("takes odd data for an empty payload", () => {
    expect(readEvent({ id: "r-1", event: "step.started", data: "[1]" })).toMatchObject({
      type: "step",
      step: { index: null },
    });
  });

  it("takes the number after the last hyphen of the id", () => {
    expect(readEvent({ id: "019ab3c4-0000-7000-8000-0000000000d0-17", event: "run.started", data: "{}" })?.n).toBe(17);
  });
});
