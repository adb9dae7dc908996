/** The writes of the console. Each returns the decoded answer or throws ApiError. */
import { request, segment } from "./client";
import { decode } from "./decode";
import {
  type Approval,
  approval,
  createdKey,
  type Decision,
  type ModelTest,
  me,
  modelTest,
  type Run,
  run,
} from "./models";

export interface Attachment {
  name: string;
  content_base64: string;
}

export interface StartRun {
  agent: string;
  input: string;
  files?: Attachment[];
  metadata?: Record<string, string>;
}

/** Starts a run. The key makes a repeated click or a retry after a lost answer return the first run. */
export async function startRun(start: StartRun, idempotencyKey: string): Promise<Run> {
  const headers = { "Idempotency-Key": idempotencyKey };
  return decode(run, await request("POST", "/runs", { body: start, headers }));
}

export async function cancelRun(id: string): Promise<Run> {
  return decode(run, await request("POST", `/runs/${segment(id)}/cancel`));
}

export async function resumeRun(id: string): Promise<Run> {
  return decode(run, await request("POST", `/runs/${segment(id)}/resume`));
}

/** Continues a finished conversation, or answers the agent's question. */
export async function sendMessage(id: string, text: string): Promise<Run> {
  return decode(run, await request("POST", `/runs/${segment(id)}/messages`, { body: { text } }));
}

export interface Verdict {
  decision: Decision;
  arguments?: unknown;
  result?: string;
  comment?: string;
}

export async function decideApproval(id: string, verdict: Verdict): Promise<Approval> {
  return decode(approval, await request("POST", `/approvals/${segment(id)}`, { body: verdict }));
}

export interface Trial {
  model: string;
  prompt: string;
  max_tokens: number;
}

/** Asks a model once: a call like any other, which counts and costs. Ending the signal ends the call too. */
export async function testModel(trial: Trial, signal: AbortSignal): Promise<ModelTest> {
  return decode(modelTest, await request("POST", "/models/test", { body: trial, signal }));
}

export interface NewKey {
  name: string;
  scopes: string[];
  expires_at?: string;
}

export async function createKey(key: NewKey) {
  return decode(createdKey, await request("POST", "/keys", { body: key }));
}

export async function revokeKey(id: string): Promise<void> {
  await request("DELETE", `/keys/${segment(id)}`);
}

export async function logIn(username: string, password: string) {
  return decode(me, await request("POST", "/session", { body: { username, password } }));
}

export async function logOut(): Promise<void> {
  await request("DELETE", "/session");
}

export async function setUp(token: string, username: string, password: string) {
  return decode(me, await request("POST", "/setup", { body: { token, username, password } }));
}
