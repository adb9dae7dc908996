/** Answers of an imagined server, in core's JSON: for looking at the console, for page tests and for browser tests. */
const T0 = Date.parse("2026-11-24T12:00:00Z");
export const at = (seconds: number) => new Date(T0 + seconds * 1000).toISOString();
export const id = (n: number) => `019ab3c4-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;

export const ids = {
  done: id(0xd0),
  approval: id(0xa1),
  question: id(0xa2),
  interrupted: id(0xa3),
  failed: id(0xf1),
  outage: id(0xe1),
  live: id(0xb1),
  child: id(0xc1),
};

const usage = (input_tokens: number, output_tokens: number, cost_usd: number) => ({
  input_tokens,
  output_tokens,
  cost_usd,
});

const run = (over: Record<string, unknown>) => ({
  id: id(1),
  agent: "support-triage",
  agent_version: "9f2c41d07ab3",
  status: "succeeded",
  input: "Was invoice INV-20931 paid twice?",
  output: "",
  error: null,
  usage: usage(8210, 910, 0.0412),
  steps: 5,
  created_at: at(-20),
  started_at: at(-19.9),
  finished_at: at(-1.5),
  metadata: {},
  limits: { steps: 50, tokens: 200000, cost_usd: 2, time: "30m0s", depth: 3 },
  depth: 0,
  recoveries: 0,
  created_by: "user:ada",
  ...over,
});

export const answer = `## What I found

The invoice **INV-20931** was paid twice on *3 March*. The \`billing.get_invoice\` tool answered on its third try. Under the [refund policy](https://example.com/policy) the customer may get the second payment back within 60 days, and today is day 12.

- First payment: $129.00, card ending 4242
- Second payment: $129.00, same card, 4 minutes later
- No chargeback is open for either one

\`\`\`go
func refund(ctx context.Context, inv string) error { return billing.Refund(ctx, inv, 12900) }
\`\`\`

| Field | Value |
|---|---|
| Customer | c_8812 |
| Amount | $129.00 |
| Policy | 60 days |

I have drafted the reply and prepared the refund. It waits for your approval before any money moves.
`;

const waiting = { status: "waiting", finished_at: null, output: "" };
export const runs: Record<string, ReturnType<typeof run>> = {
  [ids.done]: run({ id: ids.done, output: answer }),
  [ids.approval]: run({
    id: ids.approval,
    ...waiting,
    wait_reason: "approval",
    wait_detail: "erp.refund needs approval",
  }),
  [ids.question]: run({
    id: ids.question,
    agent: "researcher",
    input: "Compare the offers.",
    ...waiting,
    wait_reason: "question",
    wait_detail: "Which currency?",
  }),
  [ids.interrupted]: run({
    id: ids.interrupted,
    agent: "billing-agent",
    input: "Pay the supplier.",
    ...waiting,
    wait_reason: "approval",
    wait_detail: "erp.pay was interrupted while it was being called; it may have had its effect",
    recoveries: 1,
  }),
  [ids.failed]: run({
    id: ids.failed,
    agent: "coder",
    input: "Fix the build.",
    status: "failed",
    error: { code: "limit", message: "the run has used its 50 steps; raise limits.steps in agents/coder.md" },
  }),
  [ids.outage]: run({
    id: ids.outage,
    agent: "analyst",
    input: "Sum up the table.",
    ...waiting,
    wait_reason: "model",
    wait_detail: "local/default cannot be reached",
    wake_at: at(30),
  }),
  [ids.live]: run({
    id: ids.live,
    agent: "assistant",
    input: "Tell me a story.",
    status: "running",
    finished_at: null,
    steps: 1,
  }),
  [ids.child]: run({ id: ids.child, agent: "billing-agent", input: "Look at INV-20931.", parent: ids.done }),
};

const step = (runId: string, index: number, over: Record<string, unknown>) => ({
  id: `${runId}:${index}`,
  run: runId,
  index,
  kind: "model",
  name: "local/default",
  status: "succeeded",
  attempts: [{ started_at: over.started_at, finished_at: over.finished_at, target: "local/default" }],
  input_ref: "",
  output_ref: "",
  usage: usage(0, 0, 0),
  idempotency_key: `${runId}:${index}`,
  ...over,
});
const call = (n: number, name: string, args: unknown) => ({ id: `call_${n}`, name, arguments: args });
const message = (index: number, role: string, text: string, over: Record<string, unknown> = {}) => ({
  index,
  role,
  text,
  created_at: at(-18 + index),
  ...over,
});

const tried = [
  { started_at: at(-15.4), finished_at: at(-14.9), error: "connection reset by peer" },
  { started_at: at(-14.6), finished_at: at(-13.9), error: "timeout after 700 ms" },
  { started_at: at(-13.4), finished_at: at(-12.5) },
];
const doneSteps = [
  step(ids.done, 0, {
    started_at: at(-19.5),
    finished_at: at(-16),
    usage: usage(1200, 90, 0.006),
    input_ref: "messages/0-0",
    output_ref: "messages/1",
  }),
  step(ids.done, 1, {
    kind: "tool",
    name: "billing.get_invoice",
    effect: "read_only",
    started_at: at(-15.4),
    finished_at: at(-12.5),
    attempts: tried,
    call_id: "call_1",
    input_ref: "messages/1#call_1",
    output_ref: "messages/2",
  }),
  step(ids.done, 2, {
    kind: "agent",
    name: "billing-agent",
    effect: "idempotent",
    started_at: at(-15.4),
    finished_at: at(-8.5),
    call_id: "call_2",
    child_run: ids.child,
    usage: usage(2100, 300, 0.01),
    input_ref: "messages/1#call_2",
    output_ref: "messages/3",
  }),
  step(ids.done, 3, {
    started_at: at(-8.5),
    finished_at: at(-1.8),
    usage: usage(4910, 520, 0.025),
    input_ref: "messages/0-3",
    output_ref: "messages/4",
  }),
];
const doneMessages = [
  message(0, "user", "Was invoice INV-20931 paid twice?"),
  message(1, "assistant", "", {
    tool_calls: [
      call(1, "billing.get_invoice", { invoice: "INV-20931", customer: "c_8812" }),
      call(2, "billing-agent", { task: "Look at INV-20931." }),
    ],
  }),
  message(2, "tool", '{"id":"INV-20931","payments":2,"amount":129}', { tool_call_id: "call_1" }),
  message(3, "tool", "Two payments of the same amount, four minutes apart.", { tool_call_id: "call_2" }),
  message(4, "assistant", answer),
];

/** A run that waits at its second step. */
const parked = (runId: string, name: string, args: unknown, effect: string) => ({
  steps: [
    step(runId, 0, {
      started_at: at(-19.5),
      finished_at: at(-16),
      usage: usage(900, 60, 0.004),
      input_ref: "messages/0-0",
      output_ref: "messages/1",
    }),
    step(runId, 1, {
      kind: "tool",
      name,
      effect,
      status: "waiting",
      attempts: [],
      started_at: at(-16),
      finished_at: null,
      call_id: "call_1",
      input_ref: "messages/1#call_1",
    }),
  ],
  messages: [
    message(0, "user", String(runs[runId]?.input)),
    message(1, "assistant", "I have what I need.", { tool_calls: [call(1, name, args)] }),
  ],
});
const refund = { invoice: "INV-20931", amount: 129, reason: "paid twice" };
const pay = { supplier: "Acme", amount: 4200.5, iban: "DE02 1203 0000 0000 2020 51" };
const asked = { question: "Which currency should the comparison use?", options: ["Euro", "US dollar"] };
const parkedRuns: Record<string, ReturnType<typeof parked>> = {
  [ids.approval]: parked(ids.approval, "erp.refund", refund, "unsafe"),
  [ids.question]: parked(ids.question, "ask_user", asked, "read_only"),
  [ids.interrupted]: parked(ids.interrupted, "erp.pay", pay, "unsafe"),
};

export const steps: Record<string, unknown[]> = {
  [ids.done]: doneSteps,
  [ids.child]: [
    step(ids.child, 0, {
      kind: "tool",
      name: "get_invoice",
      effect: "read_only",
      started_at: at(-15.2),
      finished_at: at(-12.3),
      call_id: "call_9",
      input_ref: "messages/1#call_9",
    }),
    step(ids.child, 1, { started_at: at(-12.3), finished_at: at(-8.6), usage: usage(2100, 300, 0.01) }),
  ],
  [ids.failed]: [
    step(ids.failed, 0, {
      status: "failed",
      error: "the answer is not valid",
      started_at: at(-19),
      finished_at: at(-2),
    }),
  ],
  [ids.outage]: [
    step(ids.outage, 0, {
      status: "waiting",
      started_at: at(-19),
      finished_at: null,
      attempts: [{ started_at: at(-19), finished_at: at(-18), target: "local/default", error: "connection refused" }],
    }),
  ],
  ...Object.fromEntries(Object.entries(parkedRuns).map(([k, v]) => [k, v.steps])),
};
export const messages: Record<string, unknown[]> = {
  [ids.done]: doneMessages,
  [ids.child]: [
    message(0, "user", "Look at INV-20931."),
    message(1, "assistant", "Two payments.", { tool_calls: [call(9, "get_invoice", { invoice: "INV-20931" })] }),
  ],
  [ids.failed]: [message(0, "user", "Fix the build.")],
  [ids.outage]: [message(0, "user", "Sum up the table.")],
  ...Object.fromEntries(Object.entries(parkedRuns).map(([k, v]) => [k, v.messages])),
};

const approval = (
  n: number,
  runId: string,
  agent: string,
  tool: string,
  reason: string,
  args: unknown,
  effect = "unsafe",
) => ({
  id: id(0x900 + n),
  run: runId,
  step: 1,
  agent,
  tool,
  effect,
  arguments: args,
  reason,
  status: "pending",
  created_at: at(-840),
  expires_at: at(840),
});
export const approvals = [
  approval(1, ids.approval, "support-triage", "erp.refund", "policy", refund),
  approval(2, ids.question, "researcher", "ask_user", "question", asked, "read_only"),
  approval(3, ids.interrupted, "billing-agent", "erp.pay", "interrupted", pay),
];

const service = (name: string, kind: string, state: string, detail: string, latency_ms: number, restarts = 0) => ({
  name,
  kind,
  state,
  detail,
  latency_ms,
  restarts,
  since: at(-7200),
  checked_at: at(-2),
});
export const services = [
  service("database", "builtin", "healthy", "SQLite, 12 MB", 0.4),
  service("model server", "process", "degraded", "restarted 2 times in 10 minutes; next try in 30 s", 1900, 2),
  service("engine", "builtin", "healthy", "3 runs in work", 1.2),
  service("gateway", "builtin", "starting", "waits for the model server", 0),
  service("old-thing", "external", "sleeping", "", 0),
];

const agent = (name: string, description: string, active: number, errors: string[] = []) => ({
  agent: {
    name,
    version: "9f2c41d07ab3",
    description,
    model: "local/default",
    temperature: 0.2,
    tools: [
      { name: "read_file", approval: "unsafe" },
      { name: "erp.refund", approval: "always" },
      { name: "calculator", approval: "never" },
    ],
    agents: name === "support-triage" ? ["researcher"] : [],
    limits: { steps: 50, tokens: 200000, cost_usd: 2, time: "30m0s" },
    instructions: "You are careful.\n\nSay what you did, and name your sources.",
  },
  active,
  errors,
});
export const agents = [
  agent("analyst", "Answers questions about tables and files.", 1),
  agent("assistant", "Helps with anything.", 1),
  agent("billing-agent", "Files invoices and pays them after approval.", 1),
  agent("coder", "Reads and changes code.", 0, [
    'agents/coder.md:7: unknown tool "read_fil" (did you mean "read_file"?)',
  ]),
  agent("researcher", "Finds out and names its sources.", 1),
  agent("support-triage", "Sorts tickets and drafts replies.", 1),
];

export const models = [
  {
    id: "local/default",
    provider: "local",
    kind: "local",
    state: "closed",
    loaded: true,
    detail: "SmolLM2 135M, 2 threads",
  },
  {
    id: "openai/gpt",
    provider: "openai",
    kind: "openai",
    state: "open",
    loaded: false,
    detail: "no route to host; next try in 40 s",
  },
  { id: "default", provider: "", kind: "route", state: "", loaded: false },
];

export const modelHealth = [
  {
    target: "local/default",
    provider: "local",
    kind: "local",
    state: "closed",
    next_probe: null,
    calls: 0,
    failures: 0,
    first_word_ms: 0,
    cost_usd: 0,
    input_usd_per_million: 0,
    output_usd_per_million: 0,
    in_flight: 0,
    waiting: 0,
    limit: 2,
    last_error: "",
    last_error_at: null,
    routes: ["default"],
  },
  {
    target: "openai/gpt",
    provider: "openai",
    kind: "openai",
    state: "open",
    next_probe: at(40),
    calls: 1204,
    failures: 17,
    first_word_ms: 412.6,
    cost_usd: 18.42,
    input_usd_per_million: 2.5,
    output_usd_per_million: 10,
    in_flight: 3,
    waiting: 2,
    limit: 64,
    last_error: "openai cannot be reached: connect: no route to host",
    last_error_at: at(-20),
    routes: ["default", "fast"],
  },
];

export const modelRoutes = [
  {
    name: "default",
    strategy: "weighted",
    targets: [
      { target: "openai/gpt", weight: 9, state: "open" },
      { target: "local/default", weight: 1, state: "" },
    ],
    fallback: ["overload", "timeout", "error"],
    sticky: true,
    hedge_ms: 800,
    cache: "semantic",
    guardrails: ["no-secrets", "no-injection"],
  },
  {
    name: "fast",
    strategy: "least_latency",
    targets: [{ target: "openai/gpt", weight: 1, state: "open" }],
    fallback: [],
    sticky: false,
    hedge_ms: 0,
    cache: "off",
    guardrails: [],
  },
];

/** A model's answer to a test, after a first try that failed. */
export const modelTest = (model: string) => ({
  model: "local/default",
  text: `Hello from ${model}!`,
  usage: usage(14, 6, 0.0012),
  first_word_ms: 140.2,
  took_ms: 612.9,
  attempts: [
    { started_at: at(0), finished_at: at(1), target: "openai/gpt", error: "no route to host" },
    { started_at: at(1), finished_at: at(2), target: "local/default" },
  ],
});

export const keys = [
  {
    id: id(0x801),
    name: "nightly report",
    prefix: "sk-sutazai-4f9a",
    scopes: ["read", "run"],
    created_at: at(-864000),
    last_used_at: at(-300),
    expires_at: at(6912000),
    revoked_at: null,
  },
  {
    id: id(0x802),
    name: "old laptop",
    prefix: "sk-sutazai-77c0",
    scopes: ["admin"],
    created_at: at(-8640000),
    last_used_at: null,
    expires_at: null,
    revoked_at: at(-86400),
  },
];

export const me = { actor: "user:ada", kind: "user", name: "ada", scopes: ["admin"] };

export const overview = {
  runs_24h: 12418,
  failed_24h: 37,
  active: 5,
  waiting_approvals: approvals.length,
  attention: [
    {
      kind: "service",
      severity: "warning",
      title: "model server is degraded",
      detail: "restarted 2 times in 10 minutes; next try in 30 s",
      link: "/services",
    },
    {
      kind: "agent",
      severity: "warning",
      title: "the file of agent coder has a mistake",
      detail: 'agents/coder.md:7: unknown tool "read_fil" (did you mean "read_file"?)',
      link: "/agents/coder",
    },
    {
      kind: "run",
      severity: "error",
      title: "37 runs failed in the last 24 hours",
      detail: "",
      link: "/runs?status=failed",
    },
  ],
};

/** Ten thousand runs for the list, newest first. */
export function manyRuns(count = 10_000) {
  const agentNames = ["support-triage", "billing-agent", "researcher", "coder"];
  const states = ["succeeded", "succeeded", "succeeded", "cancelled", "succeeded", "running", "queued", "failed"];
  return Array.from({ length: count }, (_, i) => {
    const status = states[(i * 7) % states.length] ?? "succeeded";
    const over = status === "running" || status === "queued";
    return run({
      id: id(0x100000 + count - i),
      agent: agentNames[(i * 5) % agentNames.length],
      status,
      created_at: at(-i * 7),
      started_at: status === "queued" ? null : at(-i * 7),
      finished_at: over ? null : at(-i * 7 + 1 + ((i * 13) % 500) / 10),
      usage: usage((i * 131) % 15000, (i * 37) % 3000, ((i * 17) % 900) / 10000),
    });
  });
}
