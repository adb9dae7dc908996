import type { Model } from "../api/models";

type ModelStatus = "closed" | "open" | "half_open" | "starting" | "unknown";

/**
 * Whether a model can be called. The breaker knows of models that were called; of the others it says much that their
 * server has just listed them, and "provider/*" stands for one that could not be asked.
 */
export function modelStatus(model: Model, all: Model[]): ModelStatus {
  if (model.state !== "") return model.state;
  if (model.loaded) return "closed";
  if (model.id.endsWith("/*")) return "open";
  if (model.kind === "route") {
    const targets = all
      .filter((m) => m.kind !== "route" && m.provider === model.provider)
      .map((m) => modelStatus(m, []));
    return (["closed", "half_open", "starting", "open"] as const).find((s) => targets.includes(s)) ?? "unknown";
  }
  if (model.kind === "local") return "starting";
  return model.provider === "" || model.kind === "agent" ? "unknown" : "closed";
}
