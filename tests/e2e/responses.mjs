// The unmodified npm package openai against /v1/responses: the nine cases of the Open Responses specification, and what
// belongs to them. Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in earnest) and E2E_SCRIPTED (models that follow
// responses_test.go's script), comma-separated. Output: one line of JSON for each case.
import { strict as assert } from "node:assert";
import OpenAI from "openai";
import { cases } from "./cases.mjs";

const options = { baseURL: `${process.env.E2E_URL}/v1`, apiKey: process.env.E2E_KEY, maxRetries: 0, timeout: 240_000 };
const client = new OpenAI(options);
const { check, finish } = cases();
const question = "What is the capital of France?";
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const tools = ["weather", "population"].map((name) => ({
  type: "function",
  name,
  description: `Tells the ${name} of a city.`,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  strict: false,
}));

function wellFormed(r, status = "completed") {
  assert.equal(r.object, "response");
  assert.equal(r.status, status);
  assert.match(r.id, /^resp_/);
  assert.equal(r.error, null);
  assert.ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0, JSON.stringify(r.usage));
  assert.equal(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens);
}

async function streamed(body) {
  const stream = client.responses.stream(body);
  const kinds = [];
  let text = "";
  for await (const event of stream) {
    kinds.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  return { kinds, text, response: await stream.finalResponse() };
}

for (const model of process.env.E2E_MODELS.split(",")) {
  await check(`basic: ${model}`, async () => {
    const { data, response } = await client.responses.create({ model, input: question }).withResponse();
    wellFormed(data);
    assert.ok(data.output_text.trim().length > 0, "the answer is empty");
    if (model.startsWith("agent/")) assert.match(response.headers.get("x-sutazai-run") ?? "", /^[0-9a-f-]{36}$/);
  });

  await check(`streaming: ${model}`, async () => {
    const { kinds, text, response } = await streamed({ model, input: question });
    wellFormed(response);
    assert.deepEqual(kinds.slice(0, 2), ["response.created", "response.in_progress"]);
    assert.equal(kinds.at(-1), "response.completed");
    assert.ok(kinds.filter((k) => k === "response.output_text.delta").length > 1, "the answer came in one piece");
    assert.equal(text, response.output_text);
  });

  await check(`system prompt: ${model}`, async () => {
    const input = [
      { role: "developer", content: "Answer in one short sentence." },
      { role: "user", content: [{ type: "input_text", text: question }] },
    ];
    const r = await client.responses.create({ model, instructions: "Be brief.", input });
    wellFormed(r);
    assert.ok(r.output_text.trim().length > 0, "the answer is empty");
  });

  await check(`previous_response_id: ${model}`, async () => {
    const first = await client.responses.create({ model, input: "My name is Ada." });
    const second = await client.responses.create({ model, input: "What is my name?", previous_response_id: first.id });
    wellFormed(second);
    assert.equal(second.previous_response_id, first.id);
    const third = await client.responses.create({ model, input: "And now?", previous_response_id: second.id });
    const [before, after] = [second, third].map((r) => r.usage.input_tokens); // a first turn may carry examples for small models
    assert.ok(after > before, `${after} tokens hold no earlier turn of ${before}`);
  });

  await check(`leaving a stream: ${model}`, async () => {
    const stream = await client.responses.create({ model, input: "Write a long story about a lighthouse.", stream: true });
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") break; // leaving the loop aborts the request
    }
    const r = await client.responses.create({ model, input: question });
    assert.ok(r.output_text.trim().length > 0);
  });
}

for (const model of process.env.E2E_SCRIPTED.split(",")) {
  await check(`basic: ${model}`, async () => {
    const r = await client.responses.create({ model, input: "Hi" });
    wellFormed(r);
    assert.equal(r.output_text, "You have spoken 1 times.");
  });

  await check(`streaming: ${model}`, async () => {
    const { kinds, text, response } = await streamed({ model, input: "Hi" });
    wellFormed(response);
    assert.equal(text, "You have spoken 1 times.");
    assert.equal(response.output_text, text);
    assert.equal(kinds[0], "response.created");
    assert.equal(kinds.at(-1), "response.completed");
  });

  await check(`system prompt: ${model}`, async () => {
    const r = await client.responses.create({ model, instructions: "Talk like a pirate.", input: "Hi" });
    assert.equal(r.output_text, "I was told: Talk like a pirate.");
  });

  await check(`tool call: ${model}`, async () => {
    for (const r of [
      await client.responses.create({ model, input: question, tools }),
      (await streamed({ model, input: question, tools })).response,
    ]) {
      wellFormed(r);
      const calls = r.output.filter((i) => i.type === "function_call");
      assert.deepEqual(calls.map((c) => [c.name, JSON.parse(c.arguments)]), [["weather", { city: "Paris" }], ["population", { city: "Paris" }]]);
      assert.equal(new Set(calls.map((c) => c.call_id)).size, 2);
    }
  });

  await check(`function round trip: ${model}`, async () => {
    const input = [{ role: "user", content: question }];
    const first = await client.responses.create({ model, input, tools });
    input.push(...first.output);
    for (const c of first.output.filter((i) => i.type === "function_call")) {
      input.push({ type: "function_call_output", call_id: c.call_id, output: `${c.name}: fine` });
    }
    const second = await client.responses.create({ model, input, tools });
    assert.equal(second.output_text, "The tool says: population: fine");
  });

  await check(`image: ${model}`, async () => {
    const content = [
      { type: "input_text", text: "What is this?" },
      { type: "input_image", image_url: `data:image/png;base64,${pixel}`, detail: "auto" },
    ];
    const r = await client.responses.create({ model, input: [{ role: "user", content }] });
    assert.equal(r.output_text, "I see 1 images and 0 files.");
  });

  await check(`file: ${model}`, async () => {
    const data = Buffer.from("%PDF-1.4 a small file").toString("base64");
    const content = [
      { type: "input_text", text: "What is this?" },
      { type: "input_file", filename: "a.pdf", file_data: `data:application/pdf;base64,${data}` },
    ];
    const r = await client.responses.create({ model, input: [{ role: "user", content }] });
    assert.equal(r.output_text, "I see 0 images and 1 files.");
  });

  await check(`multi-turn: ${model}`, async () => {
    const input = [
      { role: "user", content: "My name is Ada." },
      { role: "assistant", content: "Hello Ada." },
      { role: "user", content: "What is my name?" },
    ];
    const r = await client.responses.create({ model, input });
    assert.equal(r.output_text, "You have spoken 2 times.");
  });

  await check(`previous_response_id: ${model}`, async () => {
    const first = await client.responses.create({ model, input: "My name is Ada." });
    const second = await client.responses.create({ model, input: "What is my name?", previous_response_id: first.id });
    assert.equal(second.output_text, "You have spoken 2 times.");
    const { response } = await streamed({ model, input: "Sure?", previous_response_id: second.id });
    assert.equal(response.output_text, "You have spoken 3 times.");
    for (const other of process.env.E2E_SCRIPTED.split(",")) {
      const r = await client.responses.create({ model: other, input: "And you?", previous_response_id: response.id });
      assert.equal(r.output_text, "You have spoken 4 times.", other);
    }
  });

  await check(`a stored response is read, listed and deleted: ${model}`, async () => {
    const made = await client.responses.create({ model, input: "Hi" });
    const got = await client.responses.retrieve(made.id);
    assert.equal(got.output_text, made.output_text);
    const items = [];
    for await (const item of client.responses.inputItems.list(made.id)) items.push(item);
    assert.deepEqual(items.map((i) => [i.type, i.role, i.content[0].text]), [["message", "user", "Hi"]]);
    await client.responses.delete(made.id);
    await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
    await assert.rejects(client.responses.create({ model, input: "Hi", previous_response_id: made.id }), OpenAI.BadRequestError);
  });

  await check(`a stream that breaks has no made-up end: ${model}`, async () => {
    const kinds = [];
    let failed = false;
    try {
      for await (const event of await client.responses.create({ model, input: "Break off.", stream: true })) {
        kinds.push(event.type);
      }
    } catch (e) {
      failed = e instanceof OpenAI.APIError;
    }
    assert.ok(failed || kinds.at(-1) === "error" || kinds.at(-1) === "response.failed", kinds.join());
    assert.ok(!kinds.includes("response.completed") && !kinds.includes("response.incomplete"), kinds.join());
  });
}

await check("what is not supported is an error of the client's kind", async () => {
  const model = "words/default";
  for (const more of [{ background: true }, { tools: [{ type: "web_search" }] }, { input: 7 }]) {
    await assert.rejects(client.responses.create({ model, input: question, ...more }), OpenAI.BadRequestError);
  }
  const made = await client.responses.create({ model, input: question });
  await assert.rejects(client.responses.cancel(made.id), OpenAI.BadRequestError);
});

await check("an unknown model is an error of the client's kind", async () => {
  await assert.rejects(client.responses.create({ model: "agent/nobody", input: question }), OpenAI.NotFoundError);
});

await check("a wrong key is an error of the client's kind", async () => {
  const stranger = new OpenAI({ ...options, apiKey: "wrong" });
  await assert.rejects(stranger.responses.create({ model: "default", input: question }), OpenAI.AuthenticationError);
});

finish();
