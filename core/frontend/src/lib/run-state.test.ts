import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode } from "../api/decode";
import { message, run, step } from "../api/models";
import { applyEvents, emptyRunState, type RunEvent, type RunState } from "./run-state";

/** What the server has said, in order; deltas and started steps are not stored. */
type Said = { event: RunEvent; stored: boolean };

const runEvent = (n: number, status: string): RunEvent => ({
  n,
  type: "run",
  final: status === "succeeded",
  run: decode(run, { id: "r", status }),
});
const stepEvent = (n: number, index: number, kind: string, started: boolean): RunEvent => ({
  n,
  type: "step",
  started,
  step: decode(step, { id: `r:${index}`, index, kind, status: started ? "running" : "succeeded" }),
});
const messageEvent = (n: number, index: number, text: string): RunEvent => ({
  n,
  type: "message",
  message: decode(message, { index, role: "assistant", text }),
});
const deltaEvent = (n: number, index: number, attempt: number, offset: number, text: string): RunEvent => ({
  n,
  type: "delta",
  delta: { message: index, attempt, offset, text },
});

/** A run as the server plays it: model steps whose message is tried again and crashes in between, then tool steps. */
const plan = fc.array(
  fc.record({
    attempts: fc.array(fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }), { maxLength: 5 }), {
      minLength: 1,
      maxLength: 3,
    }),
    crash: fc.boolean(),
    tools: fc.integer({ min: 0, max: 2 }),
  }),
  { minLength: 1, maxLength: 4 },
);

function play(turns: typeof plan extends fc.Arbitrary<infer T> ? T : never): Said[] {
  const said: Said[] = [];
  let n = 0;
  let index = 0;
  let messages = 1;
  const say = (stored: boolean, make: (n: number) => RunEvent) => said.push({ event: make(++n), stored });
  say(true, (n) => runEvent(n, "running"));
  for (const turn of turns) {
    const at = index++;
    say(false, (n) => stepEvent(n, at, "model", true));
    let text = "";
    turn.attempts.forEach((pieces, i) => {
      text = "";
      for (const piece of pieces) {
        const offset = text.length;
        say(false, (n) => deltaEvent(n, messages, i + 1, offset, piece));
        text += piece;
      }
      if (turn.crash && i === 0) say(false, (n) => stepEvent(n, at, "model", true));
    });
    const index0 = messages++;
    say(true, (n) => messageEvent(n, index0, text));
    say(true, (n) => stepEvent(n, at, "model", false));
    const tools = Array.from({ length: turn.tools }, () => index++);
    for (const tool of tools) say(false, (n) => stepEvent(n, tool, "tool", true));
    for (const tool of tools.reverse()) {
      const result = messages++;
      say(true, (n) => messageEvent(n, result, "result"));
      say(true, (n) => stepEvent(n, tool, "tool", false));
    }
  }
  say(true, (n) => runEvent(n, "succeeded"));
  return said;
}

/** What a connection that asks for what follows `last` gets at once when `upTo` events were said. */
function replay(said: Said[], upTo: number, last: number): RunEvent[] {
  const past = said.slice(0, upTo);
  const stored = past.filter((s) => s.stored && s.event.n > last).map((s) => s.event);
  const finished = new Set(past.flatMap(({ event: e }) => (e.type === "step" && !e.started ? [e.step.index] : [])));
  const started = past.map((s) => s.event).filter((e) => e.type === "step" && e.started && !finished.has(e.step.index));
  const live = [...stored, ...started.slice(-3)];
  const now = applyEvents(
    emptyRunState,
    past.map((s) => s.event),
  ).partial;
  return now === null ? live : [...live, deltaEvent(past.length, now.index, now.attempt, 0, now.text)];
}

const comparable = ({ run, messages, steps, partial, approvals }: RunState) => ({
  run,
  messages,
  steps,
  partial,
  approvals,
});

describe("the state of a run", () => {
  it("is the same however often and wherever the connection was cut", () => {
    fc.assert(
      fc.property(plan, fc.array(fc.nat(), { maxLength: 6 }), (turns, cuts) => {
        const said = play(turns);
        const whole = applyEvents(
          emptyRunState,
          said.map((s) => s.event),
        );
        const points = [...new Set(cuts.map((c) => c % said.length))].sort((a, b) => a - b);
        let state = emptyRunState;
        let at = 0;
        for (const point of [...points, said.length]) {
          state = applyEvents(
            state,
            said.slice(at, point).map((s) => s.event),
          );
          // Cut here; while away the server goes on a little, and the replay tells what was missed.
          at = Math.min(said.length, point + 2);
          state = applyEvents(state, replay(said, at, state.last));
          const truth = applyEvents(
            emptyRunState,
            said.slice(0, at).map((s) => s.event),
          );
          expect(state.partial?.text ?? "").toBe(truth.partial?.text ?? "");
          expect(state.messages).toEqual(truth.messages);
        }
        expect(comparable(state)).toEqual(comparable(whole));
        expect(state.gap).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("does not change when events are told twice", () => {
    fc.assert(
      fc.property(plan, (turns) => {
        const events = play(turns).map((s) => s.event);
        const once = applyEvents(emptyRunState, events);
        expect(comparable(applyEvents(once, events))).toEqual(comparable(once));
      }),
      { numRuns: 100 },
    );
  });

  it("cuts to the offset, which counts UTF-16 units", () => {
    const state = applyEvents(emptyRunState, [deltaEvent(1, 1, 1, 0, "a😀b"), deltaEvent(2, 1, 1, 3, "c")]);
    expect(state.partial?.text).toBe("a😀c");
  });

  it("drops the text of an earlier attempt, and what still arrives of it", () => {
    const state = applyEvents(emptyRunState, [
      deltaEvent(1, 1, 1, 0, "wrong"),
      deltaEvent(2, 1, 2, 0, "right"),
      deltaEvent(3, 1, 1, 5, " again"),
    ]);
    expect(state.partial).toEqual({ index: 1, attempt: 2, text: "right" });
  });

  it("drops the text when the model step starts again", () => {
    const state = applyEvents(emptyRunState, [deltaEvent(1, 1, 2, 0, "half"), stepEvent(2, 0, "model", true)]);
    expect(state.partial).toBeNull();
    expect(applyEvents(state, [deltaEvent(3, 1, 1, 0, "new")]).partial?.text).toBe("new");
  });

  it("keeps the text when a tool step starts", () => {
    const state = applyEvents(emptyRunState, [deltaEvent(1, 1, 1, 0, "half"), stepEvent(2, 1, "tool", true)]);
    expect(state.partial?.text).toBe("half");
  });

  it("takes the completed message for the truth and ignores late deltas of it", () => {
    const state = applyEvents(emptyRunState, [
      deltaEvent(1, 1, 1, 0, "half"),
      messageEvent(2, 1, "the whole"),
      deltaEvent(3, 1, 1, 4, " more"),
    ]);
    expect(state.partial).toBeNull();
    expect(state.messages[1]?.text).toBe("the whole");
  });

  it("notices lost text, and is whole again after the text so far", () => {
    const lost = applyEvents(emptyRunState, [deltaEvent(1, 1, 1, 0, "one "), deltaEvent(3, 1, 1, 8, "three")]);
    expect(lost.gap).toBe(true);
    expect(lost.partial?.text).toBe("one ");
    const mended = applyEvents(lost, [deltaEvent(3, 1, 1, 0, "one two three")]);
    expect(mended).toMatchObject({ gap: false, partial: { text: "one two three" } });
  });

  it("shows a step that started although newer events of others came first", () => {
    const state = applyEvents(emptyRunState, [stepEvent(12, 2, "tool", false), stepEvent(10, 1, "tool", true)]);
    expect(state.steps[1]?.status).toBe("running");
    expect(state.last).toBe(12);
  });

  it("says that a waiting run goes on when a step starts, not for a step that started before", () => {
    const waiting = applyEvents(emptyRunState, [runEvent(5, "waiting")]);
    expect(applyEvents(waiting, [stepEvent(4, 1, "tool", true)]).run?.status).toBe("waiting");
    expect(applyEvents(waiting, [stepEvent(6, 1, "tool", true)]).run?.status).toBe("running");
  });
});
