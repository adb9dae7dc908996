import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as data from "../../dev/fixtures";
import { decode } from "../api/decode";
import * as models from "../api/models";
import { choices, exportMarkdown, pretty, question, summary, transcript } from "./transcript";

const messages = (run: string) => (data.messages[run] ?? []).map((m) => decode(models.message, m));
const steps = (run: string) => (data.steps[run] ?? []).map((s) => decode(models.step, s));
const approval = (over: Record<string, unknown> = {}) => decode(models.approval, { ...data.approvals[0], ...over });
const { done, approval: waits } = data.ids;

describe("the transcript", () => {
  it("shows each call with its result and step, and links answers to theirs", () => {
    const items = transcript({ messages: messages(done), steps: steps(done), approvals: [], partial: null });
    expect(items.map((i) => i.kind)).toEqual(["user", "tool", "tool", "assistant"]);
    expect(items[1]).toMatchObject({ call: { name: "billing.get_invoice" }, result: { index: 2 }, step: { index: 1 } });
    expect(items[3]).toMatchObject({ step: 3, live: false });
  });

  it("puts an approval to its call, the open one before a decided one", () => {
    const approvals = [approval({ id: "old", status: "approved" }), approval({ id: "open" })];
    const items = transcript({ messages: messages(waits), steps: steps(waits), approvals, partial: null });
    expect(items.at(-1)).toMatchObject({ kind: "tool", approval: { id: "open" } });
  });

  it("shows an open approval even when its call is not known yet", () => {
    const items = transcript({ messages: [], steps: [], approvals: [approval()], partial: null });
    expect(items).toMatchObject([{ kind: "approval" }]);
  });

  it("ends with the text being written, until the message is there", () => {
    const partial = { index: 4, attempt: 1, text: "Two pay" };
    const conversation = { steps: [], approvals: [], partial };
    expect(transcript({ ...conversation, messages: messages(done).slice(0, 4) }).at(-1)).toMatchObject({
      live: true,
      text: "Two pay",
    });
    expect(transcript({ ...conversation, messages: messages(done) }).at(-1)).toMatchObject({ live: false });
  });
});

describe("the export", () => {
  it("holds every message, and fences that a result cannot close", () => {
    const list = messages(done);
    const result = list[2];
    if (result) result.text = "before\n````\nafter";
    const run = decode(models.run, data.runs[done]);
    const text = exportMarkdown(run, transcript({ messages: list, steps: steps(done), approvals: [], partial: null }));
    expect(text).toContain("# support-triage");
    expect(text).toContain("### Tool: billing.get_invoice");
    expect(text).toContain("`````\nbefore\n````\nafter\n`````");
    expect(text).toContain("**INV-20931** was paid twice");
  });
});

describe("arguments for people", () => {
  it("never fail to be shown", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.constant(undefined)), (value) => {
        expect(typeof pretty(value)).toBe("string");
        expect(summary(value).length).toBeLessThanOrEqual(
          typeof value === "string" ? Math.max(160, value.length) : 160,
        );
        expect(typeof question(value)).toBe("string");
        expect(Array.isArray(choices(value))).toBe(true);
      }),
    );
  });

  it("are one line of their values", () => {
    expect(summary({ a: "x\n y", b: 2, c: { d: true } })).toBe('x y · 2 · {"d":true}');
  });

  it("give the question and the answers to choose from", () => {
    const asked = { question: "Which?", options: ["Euro", 5, ""] };
    expect(question(asked)).toBe("Which?");
    expect(choices(asked)).toEqual(["Euro"]);
  });
});
