// Agents served by the official JavaScript library, by every transport that it has. Prints its address on a line of its own;
// /stopped says how many tasks it was told to stop.
import express from "express";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { generateKeyPairSync } from "node:crypto";
import { AgentCard, generateAgentCardSignature } from "@a2a-js/sdk";
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from "@a2a-js/sdk/server";
import { jsonRpcHandler, restHandler } from "@a2a-js/sdk/server/express";
import { A2AService, grpcService } from "@a2a-js/sdk/server/grpc";
import { TaskArtifactUpdateEvent, TaskStatusUpdateEvent, Task } from "@a2a-js/sdk";

let stopped = 0;
const cancelled = new Map();

const executor = {
  async execute(context, bus) {
    const { taskId, contextId, userMessage } = context;
    const status = (state, text) => bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({
      taskId, contextId, status: { state, timestamp: new Date().toISOString(), message: text ? { messageId: crypto.randomUUID(), role: "ROLE_AGENT", taskId, contextId, parts: [{ text }] } : undefined },
    })));
    const artifact = (artifactId, parts, append = false) => bus.publish(AgentEvent.artifactUpdate(TaskArtifactUpdateEvent.fromJSON({ taskId, contextId, append, lastChunk: false, artifact: { artifactId, name: artifactId, parts } })));
    const text = userMessage.parts.filter((p) => p.content.$case === "text").map((p) => p.content.value).join("\n");
    const file = userMessage.parts.find((p) => p.content.$case === "raw");
    if (context.task) {
      bus.publish(AgentEvent.task({ ...context.task, status: { state: 2, message: undefined, timestamp: new Date().toISOString() } }));
    } else {
      bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId, status: { state: "TASK_STATE_SUBMITTED", timestamp: new Date().toISOString() }, history: [] })));
    }
    if (context.task?.status?.state === 6) {
      artifact("answer", [{ text: `You said ${text}` }]);
      status("TASK_STATE_COMPLETED");
    } else if (text.includes("ask")) {
      status("TASK_STATE_INPUT_REQUIRED", "Which colour?");
    } else if (text.includes("fail")) {
      status("TASK_STATE_FAILED", "no ink");
    } else if (text.includes("report")) {
      artifact("answer", [{ text: "See the report." }]);
      artifact("report", [{ raw: Buffer.from("ink: 0").toString("base64"), filename: "report.txt", mediaType: "text/plain" }]);
      status("TASK_STATE_COMPLETED");
    } else if (file) {
      artifact("answer", [{ text: `I read ${file.filename}: ${Buffer.from(file.content.value).toString()}` }]);
      status("TASK_STATE_COMPLETED");
    } else if (text.includes("wait")) {
      status("TASK_STATE_WORKING");
      artifact("answer", [{ text: "Working " }]);
      await new Promise((end) => cancelled.set(taskId, end));
      status("TASK_STATE_CANCELED");
    } else {
      status("TASK_STATE_WORKING");
      artifact("answer", [{ text: "Hello, " }]);
      await new Promise((tick) => setTimeout(tick, 50));
      artifact("answer", [{ text: "world." }], true);
      status("TASK_STATE_COMPLETED");
    }
    bus.finished();
  },
  async cancelTask(taskId) {
    stopped++;
    cancelled.get(taskId)?.();
  },
};

const app = express();
const listening = app.listen(0, "127.0.0.1");
await new Promise((done) => listening.once("listening", done));
const base = `http://127.0.0.1:${listening.address().port}`;
const grpc = new Server();
const grpcPort = await new Promise((done, no) => grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (err, port) => (err ? no(err) : done(port))));

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
app.get("/keys.json", (_, res) => res.json({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }] }));
app.get("/stopped", (_, res) => res.json(stopped));

const userBuilder = async () => ({ isAuthenticated: true, userName: "sutazai" });
const ways = { jsonrpc: ["JSONRPC", `${base}/jsonrpc/a2a`], rest: ["HTTP+JSON", `${base}/rest/a2a`], grpc: ["GRPC", `127.0.0.1:${grpcPort}`] };
for (const streaming of [true, false]) {
  for (const [name, [protocolBinding, url]] of Object.entries(ways)) {
    const path = streaming ? name : `${name}-whole`;
    let card = AgentCard.fromJSON({
      name: "clerk", description: "Files invoices.", version: "1.0.0", capabilities: { streaming }, defaultInputModes: ["text/plain", "application/octet-stream"], defaultOutputModes: ["text/plain"],
      supportedInterfaces: [{ url: protocolBinding === "GRPC" ? url : url.replace(name, path), protocolBinding, protocolVersion: "1.0" }],
      skills: [{ id: "file", name: "File", description: "Files an invoice.", tags: ["invoices"] }],
    });
    card = await generateAgentCardSignature(privateKey, { alg: "ES256", kid: "one", typ: "JOSE" })(card);
    const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor);
    app.get(`/${path}/.well-known/agent-card.json`, (_, res) => res.json(AgentCard.toJSON(card)));
    if (name === "jsonrpc") app.use(`/${path}/a2a`, jsonRpcHandler({ requestHandler: handler, userBuilder }));
    if (name === "rest") app.use(`/${path}/a2a`, restHandler({ requestHandler: handler, userBuilder }));
    if (name === "grpc" && streaming) grpc.addService(A2AService, grpcService({ requestHandler: handler, userBuilder }));
  }
}
console.log(base);
process.on("SIGTERM", () => process.exit(0));
