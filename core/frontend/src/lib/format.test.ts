import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as format from "./format";

describe("formats", () => {
  it.each([
    [format.duration(0.42), "0.4 ms"],
    [format.duration(4), "4 ms"],
    [format.duration(4_199), "4.1 s"],
    [format.duration(200_000), "3 min 20 s"],
    [format.duration(18_120_000), "5 h 2 min"],
    [format.duration(-5), "0 ms"],
    [format.duration(null), "—"],
    [format.latency(0), "—"],
    [format.roughly(840_000), "14 min"],
    [format.cost(18.42), "$18.42"],
    [format.cost(0.0412), "$0.0412"],
    [format.cost(0), "$0.00"],
    [format.cost(null), "—"],
    [format.price(2.5), "$2.50"],
    [format.price(0.075), "$0.075"],
    [format.price(null), "—"],
    [format.percent(0.9), "90%"],
    [format.percent(null), "—"],
    [format.count(12_418), "12,418"],
    [format.tokens({ input_tokens: null, output_tokens: null }), "—"],
    [format.tokens({ input_tokens: 8_210, output_tokens: null }), "8,210"],
    [format.shortId("019ab3c4-0000-7000-8000-0000000000d0"), "000000d0"],
    [format.shortId(""), "—"],
    [format.bytes(16 * 1024 * 1024), "16.0 MB"],
  ])("%s is %s", (actual, expected) => expect(actual).toBe(expected));

  it("take any number", () => {
    fc.assert(
      fc.property(fc.double(), (n) => {
        for (const show of [
          format.duration,
          format.roughly,
          format.latency,
          format.cost,
          format.price,
          format.percent,
          format.count,
        ]) {
          expect(typeof show(n)).toBe("string");
        }
      }),
    );
  });

  it("give the day where it is not today", () => {
    const now = Date.parse("2026-11-24T12:00:00Z");
    expect(format.when("2026-11-24T11:59:00Z", now)).not.toContain("2026");
    expect(format.when("2026-11-20T11:59:00Z", now)).toContain("2026");
  });
});
