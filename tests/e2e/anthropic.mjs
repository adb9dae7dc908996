// The unmodified npm package @anthropic-ai/sdk against the server. Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in
// earnest) and E2E_SCRIPTED (models that follow anthropic_test.go's script), comma-separated. Output: one line of JSON for
// each case.
import { strict as assert } from "node:assert";
import Anthropic from "@anthropic-ai/sdk";
import { cases } from "./cases.mjs";

const options = { baseURL: process.env.E2E_URL, apiKey: process.env.E2E_KEY, authToken: null, maxRetries: 0, timeout: 240_000 };
const client = new Anthropic(options);
const { check, finish } = cases();
const ask = (content) => [{ role: "user", content }];
const question = ask("What is the capital of France?");
const textOf = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");
const tools = ["weather", "population"].map((name) => ({
  name,
  description: `Tells the ${name} of a city.`,
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}));
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

for (const model of process.env.E2E_MODELS.split(",")) {
  await check(`a message of ${model}`, async () => {
    const { data, response } = await client.messages.create({ model, max_tokens: 256, messages: question }).withResponse();
    assert.equal(data.type, "message");
    assert.equal(data.role, "assistant");
    assert.ok(textOf(data).trim().length > 0, "the answer is empty");
    assert.equal(data.stop_reason, "end_turn");
    assert.ok(data.usage.input_tokens > 0 && data.usage.output_tokens > 0, JSON.stringify(data.usage));
    assert.ok(data._request_id, "the request has no id");
    if (model.startsWith("agent/")) assert.match(response.headers.get("x-sutazai-run") ?? "", /^[0-9a-f-]{36}$/);
  });

  await check(`a stream of ${model}`, async () => {
    const stream = client.messages.stream({ model, max_tokens: 256, system: "Be brief.", messages: question });
    let pieces = 0;
    stream.on("text", () => pieces++);
    const message = await stream.finalMessage();
    assert.ok(textOf(message).trim().length > 0, "the answer is empty");
    assert.ok(pieces > 1, `the answer came in ${pieces} piece`);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0, JSON.stringify(message.usage));
  });

  await check(`leaving a stream of ${model}`, async () => {
    const stream = client.messages.stream({ model, max_tokens: 1024, messages: ask("Write a long story about a lighthouse.") });
    for await (const event of stream) {
      if (event.type === "content_block_delta") break; // leaving the loop aborts the request
    }
    const message = await client.messages.create({ model, max_tokens: 64, messages: question });
    assert.ok(textOf(message).trim().length > 0);
  });
}

for (const model of process.env.E2E_SCRIPTED.split(",")) {
  await check(`two tools at once, and their results, with ${model}`, async () => {
    const first = await client.messages.create({ model, max_tokens: 256, messages: question, tools, tool_choice: { type: "any" } });
    const calls = first.content.filter((b) => b.type === "tool_use");
    assert.equal(first.stop_reason, "tool_use");
    assert.deepEqual(calls.map((c) => [c.name, c.input]), [["weather", { city: "Paris" }], ["population", { city: "Paris" }]]);
    const results = calls.map((c) => ({ type: "tool_result", tool_use_id: c.id, content: [{ type: "text", text: `${c.name}: fine` }] }));
    const messages = [...question, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const second = await client.messages.create({ model, max_tokens: 256, messages, tools });
    assert.equal(textOf(second), "The tool says: population: fine");
    assert.equal(second.stop_reason, "end_turn");
  });

  await check(`streamed tools with ${model}`, async () => {
    const stream = client.messages.stream({ model, max_tokens: 256, messages: question, tools });
    let json = 0;
    stream.on("inputJson", () => json++);
    const message = await stream.finalMessage();
    const calls = message.content.filter((b) => b.type === "tool_use");
    assert.deepEqual(calls.map((c) => [c.name, c.input]), [["weather", { city: "Paris" }], ["population", { city: "Paris" }]]);
    assert.ok(json > 0 && new Set(calls.map((c) => c.id)).size === 2);
    assert.equal(message.stop_reason, "tool_use");
  });

  await check(`an image for ${model}`, async () => {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } },
    ];
    const message = await client.messages.create({ model, max_tokens: 64, messages: ask(content) });
    assert.equal(textOf(message), "I see 1 image.");
  });

  await check(`a stream of ${model} that breaks is an error, and has no end`, async () => {
    const stream = client.messages.stream({ model, max_tokens: 64, messages: ask("Break off.") });
    let text = "";
    let ended = false;
    stream.on("text", (t) => (text += t));
    stream.on("streamEvent", (e) => (ended ||= e.type === "message_stop"));
    await assert.rejects(stream.finalMessage(), (e) => e instanceof Anthropic.APIError && e.type !== undefined);
    assert.ok(text.startsWith("The "), text);
    assert.ok(!ended, "message_stop came");
  });

  await check(`the limit of a provider of ${model} reaches the client`, async () => {
    await assert.rejects(
      client.messages.create({ model, max_tokens: 64, messages: ask("Too many.") }),
      (e) => e instanceof Anthropic.RateLimitError && e.error.error.type === "rate_limit_error" && Number(e.headers.get("retry-after")) > 0,
    );
  });
}

await check("tokens are counted", async () => {
  const model = process.env.E2E_MODELS.split(",")[0];
  const short = await client.messages.countTokens({ model, messages: question });
  const long = await client.messages.countTokens({ model, system: "Be brief. ".repeat(50), messages: question, tools });
  assert.ok(short.input_tokens > 3 && long.input_tokens > short.input_tokens + 100, `${short.input_tokens}, ${long.input_tokens}`);
});

await check("an unknown model is an error of the client's kind", async () => {
  await assert.rejects(
    client.messages.create({ model: "agent/nobody", max_tokens: 9, messages: question }),
    (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === "not_found_error" && Boolean(e.requestID),
  );
});

await check("a wrong request is an error of the client's kind", async () => {
  await assert.rejects(client.messages.create({ model: "default", messages: question }), Anthropic.BadRequestError);
  const content = [{ type: "image", source: { type: "base64", media_type: "image/png", data: pixel } }];
  await assert.rejects(client.messages.create({ model: "agent/assistant", max_tokens: 9, messages: ask(content) }), Anthropic.BadRequestError);
});

await check("a wrong key is an error of the client's kind", async () => {
  const stranger = new Anthropic({ ...options, apiKey: "wrong" });
  await assert.rejects(
    stranger.messages.create({ model: "default", max_tokens: 9, messages: question }),
    (e) => e instanceof Anthropic.AuthenticationError && e.error.error.type === "authentication_error",
  );
});

await check("the key is taken as a bearer token too", async () => {
  const bearer = new Anthropic({ ...options, apiKey: null, authToken: process.env.E2E_KEY });
  const { input_tokens } = await bearer.messages.countTokens({ model: "default", messages: question });
  assert.ok(input_tokens > 0);
});

finish();
