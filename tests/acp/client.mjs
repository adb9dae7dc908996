// The TypeScript library as the client of `sutazai acp`. Input: ACP_COMMAND (JSON list) and ACP_CWD; the model follows
// acp_test.go's script. Output: one line of JSON for each case.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";

import { client, methods, ndJsonStream, PROTOCOL_VERSION } from "@agentclientprotocol/sdk";

const command = JSON.parse(process.env.ACP_COMMAND);
const cwd = process.env.ACP_CWD;

// connect starts the agent; heard collects what it tells, decide answers its requests for permission.
async function connect(agent, decide = () => ({ outcome: "cancelled" })) {
  const child = spawn(command[0], [...command.slice(1), "acp", agent], { stdio: ["pipe", "pipe", "inherit"] });
  const heard = [];
  const wake = new EventTarget();
  const connection = client({ name: "tester" })
    .onNotification(methods.client.session.update, ({ params }) => {
      heard.push(params.update);
      wake.dispatchEvent(new Event("heard"));
    })
    .onRequest(methods.client.session.requestPermission, async ({ params }) => ({ outcome: await decide(params) }))
    .onRequest(methods.client.fs.readTextFile, () => ({ content: "the word is xylophone\n" }))
    .connect(ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout)));
  const request = (method, params) => connection.agent.request(method, params);
  const hello = await request(methods.agent.initialize, {
    protocolVersion: PROTOCOL_VERSION,
    clientInfo: { name: "tester", version: "1" },
    clientCapabilities: { fs: { readTextFile: true, writeTextFile: true }, terminal: false },
  });
  return {
    hello,
    heard,
    request,
    notify: (method, params) => connection.agent.notify(method, params),
    session: async () => (await request(methods.agent.session.new, { cwd, mcpServers: [] })).sessionId,
    say: (sessionId, ...prompt) =>
      request(methods.agent.session.prompt, { sessionId, prompt: prompt.map((p) => (typeof p === "string" ? { type: "text", text: p } : p)) }),
    text: () => heard.filter((u) => u.sessionUpdate === "agent_message_chunk").map((u) => u.content.text).join(""),
    until: async (found) => {
      while (!heard.some(found)) await new Promise((resolve) => wake.addEventListener("heard", resolve, { once: true }));
    },
    end: () =>
      new Promise((resolve) => {
        child.on("exit", resolve);
        child.stdin.end();
      }),
  };
}

let failed = 0;
async function check(name, fn) {
  const began = Date.now();
  let error = "";
  try {
    await fn();
  } catch (e) {
    failed++;
    error = String(e?.stack ?? e) + (e?.data ? JSON.stringify(e.data) : "");
  }
  console.log(JSON.stringify({ name, seconds: (Date.now() - began) / 1000, error }));
}

let loaded;
await check("a turn is streamed, and the next one goes on", async () => {
  const c = await connect("talker");
  assert.equal(c.hello.protocolVersion, 1);
  assert.equal(c.hello.agentCapabilities.loadSession, true);
  loaded = await c.session();
  const end = await c.say(loaded, "greet me");
  assert.equal(end.stopReason, "end_turn");
  assert.equal(c.text(), "Hello from SutazAI.");
  assert.ok(c.heard.length > 1, "it came in one piece");
  c.heard.length = 0;
  await c.say(loaded, "what was that?");
  assert.equal(c.text(), "I greeted you.");
  await c.end();
});

await check("a session is loaded by another process, and goes on", async () => {
  const c = await connect("talker");
  await c.request(methods.agent.session.load, { sessionId: loaded, cwd, mcpServers: [] });
  const said = c.heard.filter((u) => u.content?.text).map((u) => [u.sessionUpdate, u.content.text]);
  assert.deepEqual(said, [
    ["user_message_chunk", "greet me"],
    ["agent_message_chunk", "Hello from SutazAI."],
    ["user_message_chunk", "what was that?"],
    ["agent_message_chunk", "I greeted you."],
  ]);
  c.heard.length = 0;
  await c.say(loaded, "what was that?");
  assert.equal(c.text(), "I greeted you.");
  await c.end();
});

await check("linked and embedded files reach the agent", async () => {
  const c = await connect("talker");
  const id = await c.session();
  await c.say(id, "find the word", { type: "resource_link", name: "words", uri: "file:///words.md" }, {
    type: "resource",
    resource: { uri: "file:///more.md", text: "and zebra" },
  });
  assert.equal(c.text(), "found xylophone and zebra");
  await c.end();
});

await check("a tool call is shown, and an approval is asked for and given", async () => {
  const asked = [];
  const c = await connect("writer", (p) => {
    asked.push(p);
    return { outcome: "selected", optionId: p.options.find((o) => o.kind === "allow_once").optionId };
  });
  const id = await c.session();
  const end = await c.say(id, "write it");
  assert.equal(end.stopReason, "end_turn");
  assert.equal(asked.length, 1);
  assert.match(asked[0].toolCall.title, /write_file note\.txt/);
  assert.deepEqual(asked[0].toolCall.rawInput, { path: "note.txt", content: "hi" });
  assert.match(c.text(), /written/);
  const calls = c.heard.filter((u) => u.sessionUpdate === "tool_call");
  assert.deepEqual(calls.map((u) => [u.kind, u.status]), [["edit", "in_progress"]]);
  assert.ok(c.heard.some((u) => u.sessionUpdate === "tool_call_update" && u.toolCallId === calls[0].toolCallId && u.status === "completed"));
  await c.end();
});

await check("an approval is refused", async () => {
  const c = await connect("writer", (p) => ({ outcome: "selected", optionId: p.options.find((o) => o.kind === "reject_once").optionId }));
  await c.say(await c.session(), "write it");
  assert.match(c.text(), /refused/);
  await c.end();
});

await check("a question ends the turn, and the next message answers it", async () => {
  const c = await connect("asker");
  const id = await c.session();
  assert.equal((await c.say(id, "choose")).stopReason, "end_turn");
  assert.equal(c.text(), "Which colour?");
  c.heard.length = 0;
  await c.say(id, "blue");
  assert.equal(c.text(), "You said blue.");
  await c.end();
});

await check("a turn is cancelled, and the session goes on", async () => {
  const c = await connect("talker");
  const id = await c.session();
  const turn = c.say(id, "wait for me");
  await c.until((u) => u.sessionUpdate === "agent_message_chunk");
  await c.notify(methods.agent.session.cancel, { sessionId: id });
  assert.equal((await turn).stopReason, "cancelled");
  c.heard.length = 0;
  await c.say(id, "greet me");
  assert.match(c.text(), /Hello from SutazAI\./);
  await c.end();
});

await check("what is wrong is said", async () => {
  const c = await connect("talker");
  const refused = (method, params, what) => assert.rejects(c.request(method, params), (e) => what.test(e.message) || assert.fail(e.message));
  await refused(methods.agent.session.load, { sessionId: "nowhere", cwd, mcpServers: [] }, /params\.sessionId/);
  await refused(methods.agent.session.prompt, { sessionId: "nowhere", prompt: [{ type: "text", text: "x" }] }, /params\.sessionId/);
  await refused("session/unheard_of", {}, /not known/);
  await c.end();
  await assert.rejects(connect("nobody"), /nobody/);
});

process.exit(failed === 0 ? 0 : 1);
