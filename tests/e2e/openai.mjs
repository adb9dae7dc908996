// The unmodified npm package openai against the server. Input: E2E_URL, E2E_KEY, E2E_MODELS (comma-separated).
// Output: one line of JSON for each case.
import { strict as assert } from "node:assert";
import OpenAI from "openai";
import { cases } from "./cases.mjs";

const options = { baseURL: `${process.env.E2E_URL}/v1`, apiKey: process.env.E2E_KEY, maxRetries: 0, timeout: 240_000 };
const client = new OpenAI(options);
const { check, finish } = cases();
const question = [{ role: "user", content: "What is the capital of France?" }];

await check("lists the models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  for (const model of process.env.E2E_MODELS.split(",")) assert.ok(ids.includes(model), `${model} is not in ${ids}`);
});

for (const model of process.env.E2E_MODELS.split(",")) {
  await check(`plain chat with ${model}`, async () => {
    const { data, response } = await client.chat.completions.create({ model, messages: question }).withResponse();
    assert.equal(data.object, "chat.completion");
    assert.equal(data.choices[0].message.role, "assistant");
    assert.ok(data.choices[0].message.content.trim().length > 0, "the answer is empty");
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.ok(data.usage.prompt_tokens > 0 && data.usage.completion_tokens > 0, JSON.stringify(data.usage));
    if (model.startsWith("agent/")) assert.match(response.headers.get("x-sutazai-run") ?? "", /^[0-9a-f-]{36}$/);
  });

  await check(`streamed chat with ${model}`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: question,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let pieces = 0;
    let finish = null;
    let usage = null;
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta?.content;
      if (delta) pieces++;
      text += delta ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.ok(text.trim().length > 0, "the answer is empty");
    assert.ok(pieces > 1, `the answer came in ${pieces} piece`);
    assert.equal(finish, "stop");
    assert.ok(usage?.completion_tokens > 0, JSON.stringify(usage));
  });

  await check(`cancelling a stream of ${model}`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Write a long story about a lighthouse." }],
      stream: true,
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta?.content) break; // leaving the loop aborts the request
    }
    const { choices } = await client.chat.completions.create({ model, messages: question });
    assert.ok(choices[0].message.content.trim().length > 0);
  });
}

await check("an unknown model is an error of the client's kind", async () => {
  await assert.rejects(client.chat.completions.create({ model: "agent/nobody", messages: question }), OpenAI.NotFoundError);
});

await check("a wrong key is an error of the client's kind", async () => {
  const stranger = new OpenAI({ ...options, apiKey: "wrong" });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});

finish();
