/** Ways in which an answer can be wrong, for every field that it has. */
type Path = (string | number)[];

/** Every path of a JSON value; of a list only the first entry's, because all are alike. */
export function paths(value: unknown, at: Path = []): Path[] {
  if (Array.isArray(value)) return [at, ...(value.length > 0 ? paths(value[0], [...at, 0]) : [])];
  if (typeof value === "object" && value !== null) {
    return [at, ...Object.entries(value).flatMap(([k, v]) => paths(v, [...at, k]))];
  }
  return [at];
}

export const wrongs: Record<string, (value: unknown) => unknown> = {
  missing: () => undefined,
  null: () => null,
  number: (v) => (typeof v === "number" ? "seven" : 7),
  list: (v) => (Array.isArray(v) ? { 0: "x" } : [v, null, [[]]]),
  object: (v) => (typeof v === "object" ? "text" : { a: { b: v } }),
  huge: (v) =>
    typeof v === "number" ? 1e308 : Array.isArray(v) ? Array.from({ length: 300 }, () => v[0]) : "W".repeat(20_000),
  negative: (v) => (typeof v === "number" ? -1e308 : "-"),
  date: () => "275760-09-13T00:00:00.001Z",
};

/** A copy with the value at the path replaced; undefined removes it. */
export function mutate<T>(value: T, path: Path, wrong: (value: unknown) => unknown): T {
  const copy = structuredClone(value);
  if (path.length === 0) return wrong(copy) as T;
  let holder = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) holder = holder[key] as Record<string | number, unknown>;
  const last = path[path.length - 1] as string | number;
  const next = wrong(holder[last]);
  if (next === undefined && !Array.isArray(holder)) delete holder[last];
  else holder[last] = next;
  return copy;
}
