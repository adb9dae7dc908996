/** Answers the API from the fixtures inside vite's own server: `npm run dev`, and the browser tests. */
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import { answer, type Body, shifted } from "./answers.ts";
import * as data from "./fixtures.ts";

const NONCE = "bW9jay1ub25jZQ";
/** The same policy as the server's. */
const POLICY = `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${NONCE}'; connect-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

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
