/** Turns a run's messages, steps and approvals into what a conversation shows, in order. */
import type { Approval, Message, Run, Step } from "../api/models";
import type { Partial } from "./run-state";

export interface ToolCall {
  id: string;
  name: string;
  arguments?: unknown;
}

export type Item =
  | { kind: "user"; key: string; index: number; text: string }
  | { kind: "assistant"; key: string; index: number; text: string; step: number | null; live: boolean }
  | { kind: "tool"; key: string; call: ToolCall; result: Message | null; step: Step | null; approval: Approval | null }
  | { kind: "approval"; key: string; approval: Approval };

export interface Conversation {
  messages: Message[];
  steps: Step[];
  approvals: Approval[];
  partial: Partial | null;
}

export function transcript({ messages, steps, approvals, partial }: Conversation): Item[] {
  const results = new Map(messages.filter((m) => m.role === "tool").map((m) => [m.tool_call_id, m]));
  const stepOfCall = new Map(steps.filter((s) => s.call_id !== "").map((s) => [s.call_id, s]));
  const stepOfOutput = new Map(steps.filter((s) => s.kind === "model").map((s) => [s.output_ref, s.index]));
  const approvalOfStep = new Map<number | null, Approval>();
  for (const approval of approvals) {
    const other = approvalOfStep.get(approval.step); // a crash may ask about the same step again: what is open counts
    if (other?.status !== "pending") approvalOfStep.set(approval.step, approval);
  }
  const placed = new Set<string>();
  const items: Item[] = [];
  for (const message of messages) {
    const index = message.index ?? 0;
    if (message.role === "user") {
      items.push({ kind: "user", key: `m${index}`, index, text: message.text });
    }
    if (message.role !== "assistant") continue;
    if (message.text !== "") {
      const step = stepOfOutput.get(`messages/${index}`) ?? null;
      items.push({ kind: "assistant", key: `m${index}`, index, text: message.text, step, live: false });
    }
    message.tool_calls.forEach((call, i) => {
      const step = stepOfCall.get(call.id) ?? null;
      const approval = (step && approvalOfStep.get(step.index)) ?? null;
      if (approval) placed.add(approval.id);
      const result = results.get(call.id) ?? null;
      items.push({ kind: "tool", key: `m${index}c${i}`, call, result, step, approval });
    });
  }
  for (const approval of approvals) {
    if (approval.status === "pending" && !placed.has(approval.id)) {
      items.push({ kind: "approval", key: `a${approval.id}`, approval });
    }
  }
  if (partial !== null && partial.text !== "" && !messages.some((m) => m.index === partial.index)) {
    const { index, text } = partial;
    items.push({ kind: "assistant", key: `m${index}`, index, text, step: null, live: true });
  }
  return items;
}

/** The conversation as a Markdown document. */
export function exportMarkdown(run: Run, items: Item[]): string {
  const parts = [`# ${run.agent}`, `Run ${run.id}${run.created_at ? `, ${run.created_at}` : ""}`];
  for (const item of items) {
    if (item.kind === "user") parts.push("## User", item.text);
    if (item.kind === "assistant") parts.push(`## ${run.agent}`, item.text);
    if (item.kind === "tool") {
      parts.push(`### Tool: ${item.call.name}`, fence(pretty(item.call.arguments), "json"));
      if (item.result) parts.push(fence(item.result.text, ""));
    }
  }
  return `${parts.join("\n\n")}\n`;
}

/** A code block whose fence is longer than any run of backticks inside. */
function fence(text: string, language: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), (m) => m[0].length));
  const marks = "`".repeat(longest + 1);
  return `${marks}${language}\n${text}\n${marks}`;
}

/** JSON for a person to read; never throws. */
export function pretty(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value, null, 2) ?? "";
  } catch {
    return String(value);
  }
}

/** One line that says what a call is about: the values of its arguments. */
export function summary(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === undefined ? "" : String(value);
  const line = Object.values(value)
    .map((v) => (typeof v === "string" ? v : JSON.stringify(v)))
    .join(" · ");
  return line.replaceAll(/\s+/g, " ").slice(0, 160);
}

/** The question of ask_user, whatever form its arguments have. */
export function question(value: unknown): string {
  if (typeof value === "object" && value !== null && "question" in value && typeof value.question === "string") {
    return value.question;
  }
  return pretty(value);
}

/** The answers that ask_user offers, if any. */
export function choices(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const list = "choices" in value ? value.choices : "options" in value ? value.options : [];
  return Array.isArray(list) ? list.filter((c): c is string => typeof c === "string" && c !== "") : [];
}
