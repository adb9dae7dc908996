/**
 * What a run's event stream has told so far. A pure reducer: the same stored events give the same state however often
 * the connection was cut in between.
 */
import type { Approval, Delta, Message, Run, Step } from "../api/models";

export type RunEvent =
  | { n: number; type: "run"; final: boolean; run: Run }
  | { n: number; type: "step"; started: boolean; step: Step }
  | { n: number; type: "message"; message: Message }
  | { n: number; type: "approval"; approval: Approval }
  | { n: number; type: "delta"; delta: Delta };

/** The message that is being written. */
export interface Partial {
  index: number;
  attempt: number;
  text: string;
}

export interface RunState {
  /** Highest number of an event other than a delta: a reconnect asks for what follows it. */
  last: number;
  /** Number of the event that each part was last told by: events of a started step may come after newer ones. */
  seen: Record<string, number>;
  run: Run | null;
  messages: Record<number, Message>;
  steps: Record<number, Step>;
  approvals: Record<string, Approval>;
  partial: Partial | null;
  /** A delta did not continue the text: some were lost, and reconnecting brings the text so far. */
  gap: boolean;
}

export const emptyRunState: RunState = {
  last: 0,
  seen: {},
  run: null,
  messages: {},
  steps: {},
  approvals: {},
  partial: null,
  gap: false,
};

/** The part of the run that an event tells about. */
function partOf(event: Exclude<RunEvent, { type: "delta" }>): string {
  switch (event.type) {
    case "run":
      return "run";
    case "step":
      return `step ${event.step.index}`;
    case "message":
      return `message ${event.message.index}`;
    case "approval":
      return `approval ${event.approval.id}`;
  }
}

export function applyEvent(state: RunState, event: RunEvent): RunState {
  if (event.type === "delta") return applyDelta(state, event.delta);
  const part = partOf(event);
  if (event.n <= (state.seen[part] ?? 0)) return state; // repeated by a reconnect
  const next = { ...state, last: Math.max(state.last, event.n), seen: { ...state.seen, [part]: event.n } };
  switch (event.type) {
    case "run":
      return { ...next, run: event.run, partial: event.final ? null : next.partial, gap: false };
    case "step":
      return event.step.index === null ? next : applyStep(next, event.n, event.step, event.started);
    case "message": {
      const { message } = event;
      if (message.index === null) return next;
      next.messages = { ...next.messages, [message.index]: message };
      const written = next.partial !== null && next.partial.index <= message.index;
      return written ? { ...next, partial: null, gap: false } : next;
    }
    case "approval":
      return { ...next, approvals: { ...next.approvals, [event.approval.id]: event.approval } };
  }
}

function applyStep(state: RunState, n: number, step: Step, started: boolean): RunState {
  const next = { ...state, steps: { ...state.steps, [step.index ?? 0]: step } };
  if (!started) return next;
  // No event says that a waiting or reopened run goes on: the start of a step does.
  if (next.run !== null && n > (next.seen.run ?? 0)) {
    next.run = { ...next.run, status: "running", wait_reason: "", wait_detail: "", wake_at: null, finished_at: null };
  }
  // A model step that starts (again) writes its message from the beginning.
  return step.kind === "model" ? { ...next, partial: null, gap: false } : next;
}

/** Offsets count UTF-16 code units, as JavaScript strings do. */
function applyDelta(state: RunState, delta: Delta): RunState {
  const { message: index, offset, text } = delta;
  const attempt = delta.attempt ?? 0;
  if (index === null || offset === null || index in state.messages) return state;
  let current = state.partial;
  if (current === null || index > current.index || (index === current.index && attempt > current.attempt)) {
    current = { index, attempt, text: "" };
  } else if (index < current.index || attempt < current.attempt) {
    return state; // of a message or attempt that is void
  }
  if (offset > current.text.length) return { ...state, gap: true };
  return { ...state, partial: { index, attempt, text: current.text.slice(0, offset) + text }, gap: false };
}

export function applyEvents(state: RunState, events: RunEvent[]): RunState {
  return events.reduce(applyEvent, state);
}
