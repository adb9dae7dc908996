import { describe, expect, it } from "vitest";
import { decode } from "../api/decode";
import * as models from "../api/models";
import { modelStatus } from "./model-status";

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
