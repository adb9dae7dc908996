/** What the API answers, as core's JSON. Types follow from the decoders, so there is one description of each. */
import * as z from "zod/mini";
import { flag, json, list, number, optional, optionalWord, part, text, textMap, texts, time, word } from "./decode";

export const runStatuses = ["queued", "running", "waiting", "succeeded", "failed", "cancelled"] as const;

const usage = part({ input_tokens: number, output_tokens: number, cost_usd: number });
const limits = part({ steps: number, tokens: number, cost_usd: number, time: text, depth: number });

export const run = part({
  id: text,
  agent: text,
  agent_version: text,
  status: word(...runStatuses),
  wait_reason: optionalWord("approval", "question", "agent", "model"),
  wait_detail: text,
  wake_at: time,
  input: text,
  output: text,
  error: optional(part({ code: text, message: text })),
  usage,
  steps: number,
  created_at: time,
  started_at: time,
  finished_at: time,
  parent: text,
  forked_from: text,
  metadata: textMap,
  limits,
  recoveries: number,
  created_by: text,
});
export type Run = z.infer<typeof run>;

export const step = part({
  id: text,
  run: text,
  index: number,
  kind: word("model", "tool", "agent", "peer"),
  name: text,
  effect: optionalWord("read_only", "idempotent", "unsafe"),
  status: word("pending", "running", "waiting", "succeeded", "failed", "cancelled"),
  attempts: list(z.object({ started_at: time, finished_at: time, target: text, error: text })),
  input_ref: text,
  output_ref: text,
  arguments: json,
  call_id: text,
  child_run: text,
  usage,
  error: text,
  idempotency_key: text,
  started_at: time,
  finished_at: time,
});
export type Step = z.infer<typeof step>;

export const message = part({
  index: number,
  role: word("system", "user", "assistant", "tool"),
  text,
  tool_calls: list(z.object({ id: text, name: text, arguments: json })),
  tool_call_id: text,
  is_error: flag,
  created_at: time,
});
export type Message = z.infer<typeof message>;

export const approval = part({
  id: text,
  run: text,
  step: number,
  agent: text,
  tool: text,
  effect: optionalWord("read_only", "idempotent", "unsafe"),
  arguments: json,
  reason: word("policy", "interrupted", "question", "flow", "peer"),
  status: word("pending", "approved", "done", "denied", "expired", "cancelled"),
  result: text,
  comment: text,
  created_at: time,
  expires_at: time,
  decided_by: text,
  decided_at: time,
});
export type Approval = z.infer<typeof approval>;
export type Decision = "approve" | "deny" | "edit" | "done" | "retry";

export const delta = part({ message: number, attempt: number, offset: number, text });
export type Delta = z.infer<typeof delta>;

export const agent = part({
  name: text,
  version: text,
  description: text,
  model: text,
  temperature: number,
  max_tokens: number,
  tools: list(z.object({ name: text, approval: optionalWord("never", "always", "unsafe") })),
  agents: texts,
  limits,
  output: json,
  instructions: text,
});
export type Agent = z.infer<typeof agent>;

export const agentStatus = part({ agent, active: number, errors: texts });
export type AgentStatus = z.infer<typeof agentStatus>;

export const service = part({
  name: text,
  kind: optionalWord("process", "external", "builtin"),
  state: word("healthy", "starting", "degraded", "down"),
  detail: text,
  latency_ms: number,
  restarts: number,
  since: time,
  checked_at: time,
});
export type Service = z.infer<typeof service>;

export const model = part({
  id: text,
  provider: text,
  kind: text,
  state: optionalWord("closed", "open", "half_open"),
  loaded: flag,
  detail: text,
});
export type Model = z.infer<typeof model>;

const breaker = ["closed", "open", "half_open"] as const;

/** How a target of the gateway has done since the server started. */
export const modelHealth = part({
  target: text,
  provider: text,
  kind: text,
  state: word(...breaker),
  next_probe: time,
  calls: number,
  failures: number,
  first_word_ms: number,
  cost_usd: number,
  input_usd_per_million: number,
  output_usd_per_million: number,
  in_flight: number,
  waiting: number,
  limit: number,
  last_error: text,
  last_error_at: time,
  routes: texts,
});
export type ModelHealth = z.infer<typeof modelHealth>;

/** How a route chooses among its targets. A target's state is "" until it is called. */
export const modelRoute = part({
  name: text,
  strategy: word("ordered", "weighted", "least_latency", "cheapest"),
  targets: list(part({ target: text, weight: number, state: word(...breaker, "") })),
  fallback: texts,
  sticky: flag,
  hedge_ms: number,
  cache: word("off", "exact", "semantic"),
  guardrails: texts,
});
export type ModelRoute = z.infer<typeof modelRoute>;

/** What a model answered to one call, and every try that it took. */
export const modelTest = part({
  model: text,
  text,
  usage,
  first_word_ms: number,
  took_ms: number,
  attempts: list(z.object({ started_at: time, finished_at: time, target: text, error: text })),
});
export type ModelTest = z.infer<typeof modelTest>;

export const apiKey = part({
  id: text,
  name: text,
  prefix: text,
  scopes: texts,
  created_at: time,
  last_used_at: time,
  expires_at: time,
  revoked_at: time,
});
export type ApiKey = z.infer<typeof apiKey>;

/** A page of a list. `next` is the cursor of the following page, or "". */
export function page<T extends z.core.$ZodType>(item: T) {
  return part({ items: list(item), next: text });
}

export const me = part({ kind: text, name: text, scopes: texts });
export type Me = z.infer<typeof me>;

export const setupState = part({ needed: flag, token_valid: flag });
export type SetupState = z.infer<typeof setupState>;

export const attention = part({
  kind: word("approval", "service", "agent", "run"),
  severity: word("warning", "error"),
  title: text,
  detail: text,
  link: text,
});
export type AttentionEntry = z.infer<typeof attention>;

export const overview = part({
  runs_24h: number,
  failed_24h: number,
  active: number,
  waiting_approvals: number,
  attention: list(attention),
});
export type Overview = z.infer<typeof overview>;

/** A new API key with its secret, which is never shown again. */
export const createdKey = part({ key: apiKey, secret: text });
