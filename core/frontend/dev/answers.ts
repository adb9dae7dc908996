/** The API of an imagined server, answered from the fixtures. */
import * as data from "./fixtures.ts";

export type Body = Record<string, unknown>;
export type Reply = { status?: number; body?: unknown };

const list = (items: unknown[], next = "") => ({ body: { items, next } });
const problem = (status: number, code: string, detail: string): Reply => ({
  status,
  body: { type: "", title: code, status, detail, code, errors: [] },
});
/** The fixtures are from one moment; a person looks at them now. */
export const shifted = (value: unknown): unknown => {
  const offset = Date.now() - Date.parse(data.at(0));
  return JSON.parse(JSON.stringify(value), (_, v) =>
    typeof v === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(v) ? new Date(Date.parse(v) + offset).toISOString() : v,
  );
};

const everyRun = [...Object.values(data.runs), ...data.manyRuns()];

function runsPage(query: URLSearchParams): Reply {
  const all = everyRun.filter(
    (r) =>
      (!query.get("agent") || r.agent === query.get("agent")) &&
      (!query.get("status") || r.status === query.get("status")),
  );
  const from = query.get("before") ? all.findIndex((r) => r.id === query.get("before")) + 1 : 0;
  const items = all.slice(from, from + Number(query.get("limit") ?? 50));
  return list(items, from + items.length < all.length ? (items.at(-1)?.id ?? "") : "");
}

/** What the API answers to a call; `cookie` says who is signed in (mock=in, out or setup). */
export function answer(method: string, path: string, query: URLSearchParams, body: Body, cookie: string): Reply {
  const state = /mock=(\w+)/.exec(cookie)?.[1] ?? "in";
  if (path === "/setup" && method === "GET")
    return { body: { needed: state === "setup", token_valid: query.get("token") === "good" } };
  if (path === "/setup" || (path === "/session" && method === "POST")) {
    return body.password === "wrong"
      ? problem(401, "unauthorized", "the user name or the password is wrong")
      : { status: 201, body: data.me };
  }
  if (state !== "in") return problem(401, "unauthorized", "sign in first");
  const [, kind = "", id = "", part = ""] = path.split("/");
  if (path === "/me") return { body: data.me };
  if (path === "/overview") return { body: data.overview };
  if (path === "/services") return list(data.services);
  if (path === "/models") return list(data.models);
  if (path === "/models/health") return list(data.modelHealth);
  if (path === "/models/routes") return list(data.modelRoutes);
  if (path === "/models/test") return { body: data.modelTest(String(body.model)) };
  if (path === "/keys")
    return method === "POST"
      ? { status: 201, body: { key: data.keys[0], secret: `sk-sutazai-${"x".repeat(43)}` } }
      : list(data.keys);
  if (kind === "agents") {
    if (id === "") return list(data.agents);
    const found = data.agents.find((a) => a.agent.name === id);
    return found ? { body: found } : problem(404, "not_found", `there is no agent "${id}"`);
  }
  if (kind === "approvals") {
    if (id !== "") {
      const found = data.approvals.find((a) => a.id === id);
      return {
        body: {
          ...found,
          status: body.decision === "deny" ? "denied" : "approved",
          decided_by: "user:ada",
          decided_at: data.at(0),
        },
      };
    }
    const run = query.get("run");
    return list(data.approvals.filter((a) => run === null || a.run === run));
  }
  if (kind === "runs") {
    if (id === "") return method === "POST" ? { status: 201, body: data.runs[data.ids.live] } : runsPage(query);
    const run = data.runs[id];
    if (run === undefined) return problem(404, "not_found", `there is no run ${id}`);
    if (part === "steps") return list(data.steps[id] ?? []);
    if (part === "messages" && method === "GET") return list(data.messages[id] ?? []);
    return { body: part === "cancel" ? { ...run, status: "cancelled" } : run };
  }
  return problem(404, "not_found", "no such call");
}
