// An agent by the library's first name and interface, as agents that are not kept up to date still use it.
import { Readable, Writable } from "node:stream";

import { AgentSideConnection, ndJsonStream } from "@zed-industries/agent-client-protocol";

class Agent {
  constructor(connection) {
    this.connection = connection;
  }
  async initialize() {
    return { protocolVersion: 1, agentCapabilities: { loadSession: false } };
  }
  async newSession() {
    return { sessionId: "only" };
  }
  async authenticate() {}
  async cancel() {}
  async prompt({ sessionId, prompt }) {
    const text = prompt.map((b) => b.text ?? "").join("\n");
    await this.connection.sessionUpdate({
      sessionId,
      update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text: `Old: ${text.length > 0}` } },
    });
    return { stopReason: "end_turn" };
  }
}

new AgentSideConnection((c) => new Agent(c), ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
