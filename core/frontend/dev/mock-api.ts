/** Answers the API from the fixtures inside vite's own server: `npm run dev`, and the browser tests. */
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import * as data from "./fixtures.ts";

const NONCE = "bW9jay1ub25jZQ";
/** The same policy as the server's. */
const POLICY = `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${NONCE}'; connect-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

type Body = Record<string, unknown>;
type Reply = { status?: number; body?: unknown };

const list = (items: unknown[], next = "") => ({ body: { items, next } });
const problem = (status: number, code: string, detail: string): Reply => ({
  status,
  body: { type: "", title: code, status, detail, code, errors: [] },
});
const shifted = (value: unknown): unknown => {
  // The fixtures are from one moment; a person looks at them now.
  const offset = Date.now() - Date.parse(data.at(0));
  return JSON.parse(JSON.stringify(value), (_, v) =>
    typeof v === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(v) ? new Date(Date.parse(v) + offset).toISOString() : v,
  );
};

function runsPage(query: URLSearchParams): Reply {
  const all = [...Object.values(data.runs), ...data.manyRuns()].filter(
    (r) =>
      (!query.get("agent") || r.agent === query.get("agent")) &&
      (!query.get("status") || r.status === query.get("status")),
  );
  const from = query.get("before") ? all.findIndex((r) => r.id === query.get("before")) + 1 : 0;
  const items = all.slice(from, from + Number(query.get("limit") ?? 50));
  return list(items, from + items.length < all.length ? (items.at(-1)?.id ?? "") : "");
}

function answer(method: string, path: string, query: URLSearchParams, body: Body, cookie: string): Reply {
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

/** Streams the live run's answer, one small piece every few milliseconds, as long as the client listens. */
function stream(id: string, last: number, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  let n = last;
  const send = (event: string, payload: unknown) =>
    response.write(`id: ${id}-${++n}\nevent: ${event}\ndata: ${JSON.stringify(payload)}\n\n`);
  const run = shifted(data.runs[id]);
  if (id !== data.ids.live) {
    response.write(": nothing new\n\n");
    return;
  }
  const now = new Date().toISOString();
  send("run.started", run);
  send("message.completed", { index: 0, role: "user", text: "Tell me a story.", created_at: now });
  const step = {
    id: `${id}:0`,
    run: id,
    index: 0,
    kind: "model",
    name: "local/default",
    status: "running",
    attempts: [{ started_at: now, target: "local/default" }],
    usage: {},
    started_at: now,
  };
  send("step.started", step);
  const text = data.answer.repeat(6);
  let offset = 0;
  const timer = setInterval(() => {
    const piece = text.slice(offset, offset + 5);
    if (piece === "") {
      clearInterval(timer);
      const end = new Date().toISOString();
      send("message.completed", { index: 1, role: "assistant", text, created_at: end });
      send("step.completed", {
        ...step,
        status: "succeeded",
        output_ref: "messages/1",
        finished_at: end,
        usage: { input_tokens: 12, output_tokens: 800, cost_usd: 0 },
      });
      return; // the run goes on: whoever looks at it sees a live page
    }
    send("message.delta", { message: 1, attempt: 1, offset, text: piece });
    offset += piece.length;
  }, 8);
  response.on("close", () => clearInterval(timer));
}

async function readBody(request: IncomingMessage): Promise<Body> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : (JSON.parse(text) as Body);
}

const api: Connect.NextHandleFunction = (request, response, next) => {
  const url = new URL(request.url ?? "/", "http://mock");
  if (!url.pathname.startsWith("/api/v1")) return next();
  const path = url.pathname.slice("/api/v1".length);
  const events = /^\/runs\/([^/]+)\/events$/.exec(path)?.[1];
  if (events !== undefined) {
    const last = String(request.headers["last-event-id"] ?? "");
    stream(events, Number(last.slice(last.lastIndexOf("-") + 1)) || 0, response);
    return;
  }
  void readBody(request).then((body) => {
    const reply = answer(request.method ?? "GET", path, url.searchParams, body, request.headers.cookie ?? "");
    response.writeHead(reply.status ?? 200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(shifted(reply.body ?? {})));
  });
};

/** The built console's page with the policy and the nonce, as the server sends it. */
const page: Connect.NextHandleFunction = (request, response, next) => {
  if (request.method !== "GET" || /\.\w+($|\?)/.test(request.url ?? "")) return next();
  const theme = /sutazai_theme=(light|dark)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
  const html = readFileSync("build/index.html", "utf8").replaceAll("__CSP_NONCE__", NONCE).replace("__THEME__", theme);
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
  });
  response.end(html);
};

export function mockApi(): Plugin {
  return {
    name: "mock-api",
    configureServer: (server) => void server.middlewares.use(api),
    configurePreviewServer: (server) => {
      server.middlewares.use(api);
      server.middlewares.use(page);
    },
  };
}
