// The official JavaScript client against agents of the server, by every transport and version that it has.
import { createServer } from "node:http";
import { credentials } from "@grpc/grpc-js";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { SendMessageRequest, TaskPushNotificationConfig, TaskState, Role } from "@a2a-js/sdk";
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";
import { GrpcTransportFactory } from "@a2a-js/sdk/client/grpc";
import { LegacyJsonRpcTransport, LegacyRestTransport } from "@a2a-js/sdk/compat/v0_3/client";
import { Client } from "@a2a-js/sdk/client";
import { fails, finish, is, ok, test } from "./cases.mjs";

const url = process.env.A2A_URL;
const key = process.env.A2A_KEY;
const auth = { Authorization: `Bearer ${key}` };
const fetchImpl = (to, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set("Authorization", auth.Authorization);
  return fetch(to, { ...init, headers });
};

// The receiver of push notifications.
const told = [];
const waiting = [];
const hook = createServer((req, res) => {
  const pieces = [];
  req.on("data", (b) => pieces.push(b));
  req.on("end", () => {
    told.push({ path: req.url, headers: req.headers, body: JSON.parse(Buffer.concat(pieces).toString()) });
    res.writeHead(200).end();
    waiting.splice(0).forEach((wake) => wake());
  });
});
await new Promise((listening) => hook.listen(0, "127.0.0.1", listening));
hook.unref();
const hookURL = (path) => `http://127.0.0.1:${hook.address().port}/${path}`;
const notified = async (path, find) => {
  for (;;) {
    const found = told.find((n) => n.path === `/${path}` && find(n.body));
    if (found) return found;
    await new Promise((wake) => waiting.push(wake));
  }
};

let n = 0;
const message = (text, more = {}) => SendMessageRequest.fromJSON({
  message: { messageId: `js-${process.pid}-${++n}`, role: "ROLE_USER", parts: [{ text }], ...more.message }, configuration: more.configuration,
});
const texts = (task) => (task.artifacts ?? []).flatMap((a) => a.parts).filter((p) => p.content?.$case === "text").map((p) => p.content.value).join("");
const of = (event) => event.payload ?? event;

const resolver = new DefaultAgentCardResolver();

const made = {
  "jsonrpc 1.0": async (agent) => new ClientFactory({ transports: [new JsonRpcTransportFactory({ fetchImpl })], preferredTransports: ["JSONRPC"] }).createFromUrl(`${url}/a2a/${agent}/`, ".well-known/agent-card.json"),
  "rest 1.0": async (agent) => new ClientFactory({ transports: [new RestTransportFactory({ fetchImpl })], preferredTransports: ["HTTP+JSON"] }).createFromUrl(`${url}/a2a/${agent}/`, ".well-known/agent-card.json"),
  "grpc 1.0": async (agent) => new ClientFactory({ transports: [new GrpcTransportFactory({ grpcChannelCredentials: credentials.createInsecure() })], preferredTransports: ["GRPC"] }).createFromUrl(`${url}/a2a/${agent}/`, ".well-known/agent-card.json"),
  "jsonrpc 0.3": async (agent) => new Client(new LegacyJsonRpcTransport({ endpoint: `${url}/a2a/${agent}`, fetchImpl }), await resolver.resolve(`${url}/a2a/${agent}/`, ".well-known/agent-card.json")),
  "rest 0.3": async (agent) => new Client(new LegacyRestTransport({ endpoint: `${url}/a2a/${agent}`, fetchImpl }), await resolver.resolve(`${url}/a2a/${agent}/`, ".well-known/agent-card.json")),
};

for (const [way, connect] of Object.entries(made)) {
  const old = way.endsWith("0.3");
  const options = way.startsWith("grpc") ? { serviceParameters: { authorization: auth.Authorization } } : {};
  const clerk = (() => {
    let client;
    return async () => (client ??= await connect("clerk"));
  })();

  test(`${way}: card`, async () => {
    const card = await (await clerk()).getAgentCard(options);
    is(card.name, "clerk", "the name");
    ok(card.capabilities.streaming && card.capabilities.pushNotifications, "it streams and notifies");
    ok(card.skills.length > 0, "it has skills");
  });

  test(`${way}: send, and the same again`, async () => {
    const client = await clerk();
    const request = message("Greet me.");
    const task = await client.sendMessage(request, options);
    is(task.status.state, TaskState.TASK_STATE_COMPLETED, "the state");
    is(texts(task), "Hello, world.", "the answer");
    const again = await client.sendMessage(request, options);
    is(again.id, task.id, "the task of the repeated message");
    const got = await client.getTask({ id: task.id, tenant: "", historyLength: undefined }, options);
    is(got.history.map((m) => m.role), [Role.ROLE_USER, Role.ROLE_AGENT], "the history");
    const more = await client.sendMessage(message("count", { message: { contextId: task.contextId } }), options);
    is(texts(more), "You have spoken 2 times.", "the conversation");
  });

  test(`${way}: send without waiting`, async () => {
    const client = await clerk();
    const task = await client.sendMessage(message("wait", { configuration: { returnImmediately: true } }), options);
    ok([TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING].includes(task.status.state), "it works");
    const gone = await client.cancelTask({ id: task.id, tenant: "", metadata: undefined }, options);
    is(gone.status.state, TaskState.TASK_STATE_CANCELED, "the state");
  });

  test(`${way}: stream`, async () => {
    let text = "", pieces = 0, last;
    for await (const event of (await clerk()).sendMessageStream(message("Greet me."), options)) {
      last = of(event);
      if (last.$case !== "artifactUpdate" || last.value.artifact.artifactId !== "answer") continue;
      const piece = texts({ artifacts: [last.value.artifact] });
      text = last.value.append || way === "rest 0.3" ? text + piece : piece; // there the library loses "append"
      pieces++;
    }
    is(text, "Hello, world.", "the text");
    ok(pieces > 1, `it came in ${pieces} pieces`);
    is(last.value.status.state, TaskState.TASK_STATE_COMPLETED, "the end");
  });

  test(`${way}: cancel and subscribe while it streams`, async () => {
    const client = await clerk();
    let last, done = false;
    for await (const event of client.sendMessageStream(message("wait"), options)) {
      last = of(event);
      if (done || last.$case !== "artifactUpdate") continue;
      done = true;
      const id = last.value.taskId;
      const second = client.resubscribeTask({ id, tenant: "" }, options);
      const first = of((await second.next()).value);
      is(first.$case, "task", "the first event of the second client");
      is(first.value.id, id, "its task");
      await client.cancelTask({ id, tenant: "", metadata: undefined }, options);
      let end;
      for await (const e of second) end = of(e);
      is(end.value.status.state, TaskState.TASK_STATE_CANCELED, "how it ended for the second client");
    }
    ok(done, "it wrote something");
    is(last.value.status.state, TaskState.TASK_STATE_CANCELED, "how it ended");
  });

  test(`${way}: input required`, async () => {
    const client = await clerk();
    const asked = await client.sendMessage(message("ask"), options);
    is(asked.status.state, TaskState.TASK_STATE_INPUT_REQUIRED, "the state");
    is(asked.status.message.parts[0].content.value, "Which colour?", "the question");
    const answered = await client.sendMessage(message("blue", { message: { taskId: asked.id, contextId: asked.contextId } }), options);
    is(answered.status.state, TaskState.TASK_STATE_COMPLETED, "the state after the answer");
    ok(texts(answered).includes("blue"), "the answer was heard");
  });

  test(`${way}: approval`, async () => {
    const client = await connect("payer");
    const asked = await client.sendMessage(message("write"), options);
    const data = asked.status.message.parts.find((p) => p.content.$case === "data").content.value;
    is(data.approval.tool, "write_file", "the call");
    const edited = await client.sendMessage(message("", { message: { taskId: asked.id, parts: [{ data: { approval: data.approval.id, decision: "edit", arguments: { path: "a.txt", content: "ink: 1" } } }] } }), options);
    is(edited.status.state, TaskState.TASK_STATE_COMPLETED, "the state");
    const file = edited.artifacts.find((a) => a.name === "a.txt");
    is(Buffer.from(file.parts[0].content.value).toString(), "ink: 1", "the file");
  });

  test(`${way}: files`, async () => {
    const name = way === "rest 0.3" ? "file-2.txt" : "mine.txt"; // there the library loses the name
    const task = await (await clerk()).sendMessage(message("", {
      message: { parts: [{ text: `look at ${name}` }, { raw: Buffer.from("of mine").toString("base64"), filename: "mine.txt", mediaType: "text/plain" }] },
    }), options);
    ok(texts(task).includes("of mine"), `it answers ${texts(task)}`);
  });

  test(`${way}: push notification`, async () => {
    const client = await clerk();
    const path = way.replace(/\W/g, "-");
    const asked = await client.sendMessage(message("ask"), options);
    const config = await client.createTaskPushNotificationConfig(TaskPushNotificationConfig.fromJSON({ taskId: asked.id, id: "mine", url: hookURL(path), token: "tok" }), options);
    is(config.url, hookURL(path), "the address");
    const got = await client.getTaskPushNotificationConfig({ taskId: asked.id, id: "mine", tenant: "" }, options);
    is([got.url, got.id], [hookURL(path), "mine"], "what is stored");
    const list = await client.listTaskPushNotificationConfig({ taskId: asked.id, tenant: "", pageSize: 0, pageToken: "" }, options);
    is(list.configs.length, 1, "how many there are");
    await client.sendMessage(message("blue", { message: { taskId: asked.id } }), options);
    const news = await notified(path, (b) => b.task?.status.state === "TASK_STATE_COMPLETED");
    is(news.body.task.id, asked.id, "whom it is about");
    is(news.headers["x-a2a-notification-token"], "tok", "the token");
    const { payload } = await jwtVerify(news.headers.authorization.slice("Bearer ".length), createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`)), { audience: hookURL(path) });
    is(payload.taskId, asked.id, "whom the signature is about");
    await client.deleteTaskPushNotificationConfig({ taskId: asked.id, id: "mine", tenant: "" }, options);
    const none = await client.listTaskPushNotificationConfig({ taskId: asked.id, tenant: "", pageSize: 0, pageToken: "" }, options);
    is(none.configs.length, 0, "how many are left");
  });

  test(`${way}: errors`, async () => {
    const client = await clerk();
    await fails(() => client.getTask({ id: "019ab3c1-0000-7000-8000-000000000000", tenant: "", historyLength: undefined }, options), "TaskNotFound");
    const task = await client.sendMessage(message("Greet me."), options);
    await fails(() => client.cancelTask({ id: task.id, tenant: "", metadata: undefined }, options), "TaskNotCancelable");
    await fails(() => client.sendMessage(message("more", { message: { taskId: task.id } }), options), "UnsupportedOperation");
    const failed = await client.sendMessage(message("fail"), options);
    is(failed.status.state, TaskState.TASK_STATE_FAILED, "the state of what failed");
  });

  if (!old) {
    test(`${way}: list`, async () => {
      const client = await clerk();
      const first = await client.sendMessage(message("Greet me."), options);
      await client.sendMessage(message("Greet me.", { message: { contextId: first.contextId } }), options);
      const request = { contextId: first.contextId, pageSize: 1, pageToken: "", tenant: "", status: 0, includeArtifacts: true, historyLength: undefined, statusTimestampAfter: undefined };
      const page = await client.listTasks(request, options);
      is([page.tasks.length, page.totalSize], [1, 2], "the first page");
      ok(texts(page.tasks[0]) !== "", "it has artifacts");
      const rest = await client.listTasks({ ...request, pageToken: page.nextPageToken }, options);
      is([rest.tasks.map((t) => t.id), rest.nextPageToken], [[first.id], ""], "the second page");
      const none = await client.listTasks({ ...request, contextId: "nobody's" }, options);
      is(none.tasks, [], "a context of nobody's");
    });

    test(`${way}: extended card`, async () => {
      const client = await connect("clerk");
      const card = await client.getAgentCard(options);
      ok(card.skills.some((s) => s.id === "tool:write_file"), `its skills are ${card.skills.map((s) => s.id)}`);
    });
  }
}

test("without a key", async () => {
  const client = await new ClientFactory({ transports: [new JsonRpcTransportFactory()], preferredTransports: ["JSONRPC"] }).createFromUrl(`${url}/a2a/clerk/`, ".well-known/agent-card.json");
  await fails(() => client.sendMessage(message("Greet me.")), "");
});

test("platform card", async () => {
  const client = await new ClientFactory({ transports: [new JsonRpcTransportFactory({ fetchImpl })], preferredTransports: ["JSONRPC"] }).createFromUrl(url);
  const task = await client.sendMessage(message("Greet me."));
  is(texts(task), "Hello, world.", "the answer of the agent that the card names");
});

await finish();
