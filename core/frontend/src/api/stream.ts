/** Reads a run's events (SSE) by fetch, and connects again where it was cut. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { RunEvent } from "../lib/run-state";
import { ApiError, failure, segment, url } from "./client";
import { decode } from "./decode";
import { approval, delta, message, run, step } from "./models";

export type StreamStatus = "connecting" | "open" | "retrying" | "ended";

export interface StreamOptions {
  run: string;
  /** Number of the last stored event that is known; asked at every connect. */
  last: () => number;
  /** Returns false when text was lost on the way: the stream connects again, which brings the text so far. */
  onEvent: (event: RunEvent) => boolean;
  onStatus: (status: StreamStatus) => void;
  /** Asked after a final event: false when a further turn has reopened the run. */
  isOver: () => Promise<boolean>;
  onError: (error: ApiError) => void;
  signal: AbortSignal;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Reads one event; null for one that this console does not know (a newer server may send more). */
export function readEvent(sse: EventSourceMessage): RunEvent | null {
  const n = Number(sse.id?.slice(sse.id.lastIndexOf("-") + 1) ?? Number.NaN);
  if (!Number.isSafeInteger(n)) return null;
  let data: unknown;
  try {
    data = JSON.parse(sse.data);
  } catch {
    return null;
  }
  switch (sse.event) {
    case "run.started":
    case "run.waiting":
      return { n, type: "run", final: false, run: decode(run, data) };
    case "run.succeeded":
    case "run.failed":
    case "run.cancelled":
      return { n, type: "run", final: true, run: decode(run, data) };
    case "step.started":
    case "step.completed":
      return { n, type: "step", started: sse.event === "step.started", step: decode(step, data) };
    case "message.completed":
      return { n, type: "message", message: decode(message, data) };
    case "message.delta":
      return { n, type: "delta", delta: decode(delta, data) };
    case "approval.requested":
    case "approval.decided":
      return { n, type: "approval", approval: decode(approval, data) };
    default:
      return null;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** Follows the run until it is over or the signal aborts. Waits grow from 0.5 s to 15 s, with jitter. */
export async function followRun(options: StreamOptions): Promise<void> {
  const { signal, onStatus } = options;
  const wait = options.wait ?? sleep;
  let failures = 0;
  while (!signal.aborted) {
    onStatus(failures === 0 ? "connecting" : "retrying");
    try {
      const outcome = await connect(options);
      if (outcome.progress) failures = 0;
      if (outcome.final) {
        if (await options.isOver()) {
          onStatus("ended");
          return;
        }
        if (outcome.progress) continue; // the end of an earlier turn: the next one follows at once
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        options.onError(error); // asking again would not help
        return;
      }
    }
    if (signal.aborted) return;
    const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
    failures++;
    onStatus("retrying");
    await wait(ceiling * (0.5 + Math.random() / 2), signal);
  }
}

/** One connection, until it ends. `final`: it ended with the run's final event. */
async function connect(options: StreamOptions): Promise<{ progress: boolean; final: boolean }> {
  const last = options.last();
  const response = await fetch(url(`/runs/${segment(options.run)}/events`), {
    headers: { Accept: "text/event-stream", ...(last > 0 ? { "Last-Event-ID": `${options.run}-${last}` } : {}) },
    signal: options.signal,
    credentials: "same-origin",
    cache: "no-store",
  });
  if (!response.ok || response.body === null) throw await failure(response);
  options.onStatus("open");
  let progress = false;
  let final = false;
  let lost = false;
  const parser = createParser({
    onEvent: (sse) => {
      const event = readEvent(sse);
      if (event === null) return;
      progress = true;
      if (event.type !== "delta") final = event.type === "run" && event.final;
      lost = !options.onEvent(event) || lost;
    },
  });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { progress, final };
    parser.feed(decoder.decode(value, { stream: true }));
    if (lost) {
      await reader.cancel();
      return { progress: false, final: false };
    }
  }
}
