// An agent by the TypeScript library; the user's message says what it does. Sessions are kept in the folder ACP_STATE, so that
// another process can take them up.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";

import { agent, methods, ndJsonStream, RequestError } from "@agentclientprotocol/sdk";

const file = (id) => join(process.env.ACP_STATE, id);
const remember = (id, who, text) => appendFileSync(file(id), JSON.stringify([who, text]) + "\n");
const turns = new Map();
let count = 0;

const update = (client, sessionId, fields) => client.notify(methods.client.session.update, { sessionId, update: fields });
const chunk = (kind, text) => ({ sessionUpdate: kind, content: { type: "text", text } });

async function work(client, sessionId, text, signal) {
  const say = (t) => update(client, sessionId, chunk("agent_message_chunk", t));
  if (text.includes("greet")) {
    await say("Hello, ");
    await update(client, sessionId, { sessionUpdate: "tool_call", toolCallId: "t1", title: "Looking around", kind: "read", status: "in_progress" });
    await update(client, sessionId, { sessionUpdate: "tool_call_update", toolCallId: "t1", status: "completed" });
    await say("TypeScript.");
  } else if (text.includes("pay")) {
    const { outcome } = await client.request(methods.client.session.requestPermission, {
      sessionId,
      toolCall: { toolCallId: "t2", title: "pay", kind: "execute", status: "pending", rawInput: { amount: 5 } },
      options: [
        { optionId: "yes", name: "Yes", kind: "allow_once" },
        { optionId: "no", name: "No", kind: "reject_once" },
      ],
    });
    if (outcome.outcome === "cancelled") return "cancelled";
    await say(outcome.optionId === "yes" ? "paid" : "not paid");
  } else if (text.includes("write")) {
    const path = join(turns.get(sessionId).cwd, "report.txt");
    await client.request(methods.client.fs.writeTextFile, { sessionId, path, content: "ink: 0\n" });
    const { content } = await client.request(methods.client.fs.readTextFile, { sessionId, path });
    const out = await client
      .request(methods.client.fs.readTextFile, { sessionId, path: "/etc/passwd" })
      .then(() => "let in", (e) => e.message);
    await say(`${content.trim()}; ${out}`);
  } else if (text.includes("wait")) {
    await say("waiting");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "cancelled";
  } else if (text.includes("cut off")) {
    await say("I went on.");
  } else if (text.includes("remember")) {
    const said = readFileSync(file(sessionId), "utf8").trim().split("\n").map((l) => JSON.parse(l));
    await say("You said first: " + said[0][1]);
  }
  return "end_turn";
}

agent({ name: "tester" })
  .onRequest(methods.agent.initialize, () => ({
    protocolVersion: 1,
    agentInfo: { name: "tester", version: "1.0.0" },
    agentCapabilities: { loadSession: true },
    authMethods: [],
  }))
  .onRequest(methods.agent.session.new, ({ params }) => {
    const sessionId = `s-${process.pid}-${++count}`;
    turns.set(sessionId, { cwd: params.cwd });
    return { sessionId };
  })
  .onRequest(methods.agent.session.load, async ({ params, client }) => {
    if (!existsSync(file(params.sessionId))) throw RequestError.resourceNotFound(params.sessionId);
    turns.set(params.sessionId, { cwd: params.cwd });
    for (const line of readFileSync(file(params.sessionId), "utf8").trim().split("\n")) {
      const [who, text] = JSON.parse(line);
      await update(client, params.sessionId, chunk(`${who}_message_chunk`, text));
    }
    return {};
  })
  .onRequest(methods.agent.session.prompt, async ({ params, client }) => {
    const text = params.prompt.map((b) => b.text ?? "").join("\n");
    remember(params.sessionId, "user", text);
    const stop = new AbortController();
    turns.get(params.sessionId).stop = stop;
    return { stopReason: await work(client, params.sessionId, text, stop.signal) };
  })
  .onNotification(methods.agent.session.cancel, ({ params }) => turns.get(params.sessionId)?.stop?.abort())
  .connect(ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
