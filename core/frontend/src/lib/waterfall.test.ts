import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as data from "../../dev/fixtures";
import { decode } from "../api/decode";
import * as models from "../api/models";
import { referenced, ticks, waterfall } from "./waterfall";

const { done, child, approval } = data.ids;
const run = (id: string) => decode(models.run, data.runs[id]);
const steps = (id: string) => (data.steps[id] ?? []).map((s) => decode(models.step, s));
const now = Date.parse(data.at(0));

describe("the waterfall", () => {
  it("lays the steps on the run's time", () => {
    const { rows, length } = waterfall(run(done), steps(done), new Map(), now);
    expect(length).toBe(18_400);
    expect(rows.map((r) => [r.depth, r.from, r.to])).toEqual([
      [0, 0, 18_400],
      [1, 400, 3_900],
      [1, 4_500, 7_400],
      [1, 4_500, 11_400],
      [1, 11_400, 18_100],
    ]);
    expect(rows[3]?.children).toBe("closed");
  });

  it("puts an opened sub-agent's steps below it", () => {
    const { rows } = waterfall(run(done), steps(done), new Map([[child, steps(child)]]), now);
    expect(rows.map((r) => r.depth)).toEqual([0, 1, 1, 1, 2, 2, 1]);
    expect(rows[4]?.run).toBe(child);
  });

  it("does not follow a run into itself", () => {
    const loop = steps(done).map((s) => ({ ...s, child_run: child }));
    const inner = steps(child).map((s) => ({ ...s, child_run: child }));
    expect(waterfall(run(done), loop, new Map([[child, inner]]), now).rows.length).toBe(1 + 4 + 2);
  });

  it("grows to now while the run is not over", () => {
    const { rows, length } = waterfall(run(approval), steps(approval), new Map(), now);
    expect(length).toBe(19_900);
    expect(rows.at(-1)).toMatchObject({ status: "waiting", to: 19_900 });
  });

  it("keeps every bar inside, whatever the times are", () => {
    const time = fc.oneof(
      fc.constant(null),
      fc.integer({ min: -1e12, max: 1e12 }).map((n) => new Date(n).toISOString()),
    );
    const step = fc.record({
      started_at: time,
      finished_at: time,
      status: fc.constantFrom("running", "succeeded", "waiting"),
    });
    fc.assert(
      fc.property(time, time, fc.array(step, { maxLength: 5 }), fc.boolean(), (started_at, finished_at, list, over) => {
        const subject = decode(models.run, {
          id: "r",
          started_at,
          finished_at,
          status: over ? "succeeded" : "running",
        });
        const { rows, length } = waterfall(
          subject,
          list.map((s, index) => decode(models.step, { ...s, index })),
          new Map(),
          now,
        );
        expect(Number.isFinite(length) && length >= 1).toBe(true);
        for (const { from, to } of rows) {
          if (from === null || to === null) continue;
          expect(from >= 0 && from <= to && to <= length).toBe(true);
        }
      }),
    );
  });

  it("marks round times, five at most", () => {
    expect(ticks(18_400)).toEqual([0, 5_000, 10_000, 15_000]);
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e15, noNaN: true }), (length) => {
        expect(ticks(length).length).toBeLessThanOrEqual(5);
      }),
    );
  });
});

describe("references to messages", () => {
  it.each([
    ["messages/0-7", { first: 0, last: 7, call: "" }],
    ["messages/9", { first: 9, last: 9, call: "" }],
    ["messages/8#call_1", { first: 8, last: 8, call: "call_1" }],
    ["", null],
    ["steps/1", null],
    ["messages/x", null],
  ])("%s", (ref, expected) => expect(referenced(ref)).toEqual(expected));
});
