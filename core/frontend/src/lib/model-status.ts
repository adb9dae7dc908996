import type { Model, ModelHealth, ModelRoute } from "../api/models";

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

type TargetStatus = "closed" | "open" | "half_open" | "untried" | "unknown";

/** Whether a target can be called. A breaker is closed from the start, which says nothing before the first call. */
export function targetStatus({ state, calls }: Pick<ModelHealth, "state" | "calls">): TargetStatus {
  return state === "closed" && calls === 0 ? "untried" : state;
}

/** A route's targets with the part of its calls that each gets: null where the strategy has no fixed shares. */
export function routeTargets(route: ModelRoute, health: ModelHealth[]) {
  const weight = (w: number | null) => Math.max(w ?? 0, 0);
  const sum = route.targets.reduce((all, t) => all + weight(t.weight), 0);
  return route.targets.map(({ target, weight: own, state }) => {
    const known = target === "" ? undefined : health.find((h) => h.target === target);
    return {
      target,
      status: known ? targetStatus(known) : state === "" ? ("untried" as const) : state,
      share: route.strategy !== "weighted" || own === null || sum === 0 ? null : weight(own) / sum,
    };
  });
}
