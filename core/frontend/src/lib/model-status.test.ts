import { describe, expect, it } from "vitest";
import { decode } from "../api/decode";
import * as models from "../api/models";
import { modelStatus, routeTargets, targetStatus } from "./model-status";

const model = (over: Record<string, unknown>) => decode(models.model, over);
const listed = model({ id: "openai/gpt", provider: "openai", kind: "openai", state: "" });
const silent = model({ id: "vllm/*", provider: "vllm", kind: "openai", state: "", detail: "connection refused" });
const loading = model({ id: "local/default", provider: "local", kind: "local", state: "" });

describe("whether a model can be called", () => {
  it.each([
    ["the breaker's word counts first", model({ ...listed, state: "open" }), "open"],
    ["a loaded one can", model({ ...loading, loaded: true }), "closed"],
    ["one that its server lists can", listed, "closed"],
    ["one whose server could not be asked cannot", silent, "open"],
    ["a local one that is not loaded is on its way", loading, "starting"],
    ["a route can when its target can", model({ id: "default", provider: "openai", kind: "route" }), "closed"],
    ["a route cannot when its target cannot", model({ id: "default", provider: "vllm", kind: "route" }), "open"],
    [
      "a route to nothing that is known is unknown",
      model({ id: "default", provider: "none", kind: "route" }),
      "unknown",
    ],
    ["nothing is known of an empty answer", model({}), "unknown"],
  ])("%s", (_, subject, expected) => expect(modelStatus(subject, [listed, silent, loading])).toBe(expected));
});

describe("whether a target can be called", () => {
  it.each([
    ["closed", 3, "closed"],
    ["closed", 0, "untried"],
    ["open", 0, "open"],
    ["half_open", 9, "half_open"],
    ["asleep", 9, "unknown"],
  ])("a breaker that is %s after %d calls is %s", (state, calls, expected) =>
    expect(targetStatus(decode(models.modelHealth, { state, calls }))).toBe(expected),
  );
});

describe("the targets of a route", () => {
  const targets = [
    { target: "a/x", weight: 3, state: "closed" },
    { target: "b/y", weight: 1, state: "" },
    { target: "c/z", weight: 0, state: "melted" },
  ];
  const route = (strategy: string) => decode(models.modelRoute, { strategy, targets });

  it("have shares by their weights", () => {
    expect(routeTargets(route("weighted"), []).map((t) => t.share)).toEqual([0.75, 0.25, 0]);
  });

  it("have no shares where the strategy does not go by weights, or all weights are nothing", () => {
    expect(routeTargets(route("ordered"), []).map((t) => t.share)).toEqual([null, null, null]);
    const none = decode(models.modelRoute, { strategy: "weighted", targets: [{ target: "a/x", weight: 0 }] });
    expect(routeTargets(none, []).map((t) => t.share)).toEqual([null]);
  });

  it("are as their health says, or as the route says where that is not known", () => {
    const health = [decode(models.modelHealth, { target: "a/x", state: "open", calls: 4 })];
    expect(routeTargets(route("ordered"), health).map((t) => t.status)).toEqual(["open", "untried", "unknown"]);
  });
});
