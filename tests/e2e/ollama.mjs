// The unmodified npm package ollama against the server. Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in earnest),
// E2E_SCRIPTED (models that follow ollama_test.go's script) and E2E_VECTORS (models that make vectors), comma-separated.
// Output: one line of JSON for each case.
import { strict as assert } from "node:assert";
import { Ollama } from "ollama";
import { cases } from "./cases.mjs";

const host = `${process.env.E2E_URL}/ollama`;
const connect = (key) => new Ollama({ host, headers: { Authorization: `Bearer ${key}` } });
const client = connect(process.env.E2E_KEY);
const { check, finish } = cases();
const split = (name) => process.env[name].split(",");
const ask = (content) => [{ role: "user", content }];
const question = ask("What is the capital of France?");
const tools = ["weather", "population"].map((name) => ({
  type: "function",
  function: {
    name,
    description: `Tells the ${name} of a city.`,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}));
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const callsOf = (message) => (message.tool_calls ?? []).map((c) => [c.function.name, c.function.arguments]);
const callsWanted = [["weather", { city: "Paris" }], ["population", { city: "Paris" }]];
const refused = (status, text) => (e) => e.name === "ResponseError" && e.status_code === status && text.test(e.error);

// Follows a stream to its end; say takes the piece of text or thought of a line.
async function follow(stream, say) {
  let text = "";
  let pieces = 0;
  let last = null;
  for await (const line of stream) {
    const piece = say(line);
    if (piece) pieces++;
    text += piece ?? "";
    last = line;
  }
  return { text, pieces, last };
}

await check("lists and shows the models", async () => {
  const { models } = await client.list();
  for (const model of [...split("E2E_MODELS"), ...split("E2E_SCRIPTED")]) {
    const found = models.find((m) => m.name === model);
    assert.ok(found, `${model} is not in ${models.map((m) => m.name)}`);
    assert.ok(found.digest && !Number.isNaN(Date.parse(found.modified_at)), JSON.stringify(found));
    const shown = await client.show({ model });
    assert.ok(shown.capabilities.includes("completion"));
    assert.equal(shown.capabilities.includes("tools"), !model.startsWith("agent/"));
  }
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
});

for (const model of split("E2E_MODELS")) {
  await check(`a chat with ${model}`, async () => {
    const answer = await client.chat({ model, messages: question });
    assert.equal(answer.model, model);
    assert.equal(answer.message.role, "assistant");
    assert.ok(answer.message.content.trim().length > 0, "the answer is empty");
    assert.ok(answer.done && answer.done_reason === "stop", JSON.stringify(answer));
    assert.ok(answer.prompt_eval_count > 0 && answer.eval_count > 0 && answer.total_duration > 0, JSON.stringify(answer));
  });

  await check(`a stream of ${model}`, async () => {
    const stream = await client.chat({ model, messages: question, stream: true });
    const { text, pieces, last } = await follow(stream, (l) => l.message.content);
    assert.ok(text.trim().length > 0, "the answer is empty");
    assert.ok(pieces > 1, `the answer came in ${pieces} piece`);
    assert.ok(last.done && last.done_reason === "stop", JSON.stringify(last));
    assert.ok(last.eval_count > 0 && last.eval_duration > 0 && last.eval_duration <= last.total_duration, JSON.stringify(last));
  });

  await check(`aborting a stream of ${model}`, async () => {
    const own = connect(process.env.E2E_KEY);
    const stream = await own.chat({ model, messages: ask("Write a long story about a lighthouse."), stream: true });
    await assert.rejects(async () => {
      for await (const line of stream) if (line.message.content) own.abort();
    }, { name: "AbortError" });
    const { message } = await client.chat({ model, messages: question, options: { num_predict: 32 } });
    assert.ok(message.content.trim().length > 0);
  });
}

await check("generate with the real model, which runs", async () => {
  const answer = await client.generate({ model: "default:latest", system: "Be brief.", prompt: "Say hello.", options: { temperature: 0, num_predict: 16, seed: 1 } });
  assert.ok(answer.response.trim().length > 0 && answer.done, JSON.stringify(answer));
  assert.ok(answer.eval_count > 0 && answer.eval_count <= 16, JSON.stringify(answer));
  const loaded = await client.generate({ model: "default", prompt: "" });
  assert.equal(loaded.done_reason, "load");
  const running = await client.ps();
  assert.ok(running.models.some((m) => m.name === "local/default"), JSON.stringify(running));
});

await check("an answer in the form of a schema", async () => {
  const format = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const { message } = await client.chat({ model: "default", messages: ask("Name a city as JSON."), format, options: { num_predict: 64 } });
  assert.equal(typeof JSON.parse(message.content).city, "string");
});

for (const model of split("E2E_VECTORS")) {
  await check(`vectors of ${model}`, async () => {
    const input = ["A cat sits on the mat.", "The cat sits on a mat.", "Stock markets fell today."];
    const { embeddings, prompt_eval_count } = await client.embed({ model, input });
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    assert.equal(embeddings.length, 3);
    assert.ok(prompt_eval_count > 0);
    for (const v of embeddings) assert.ok(Math.abs(dot(v, v) - 1) < 1e-3, `a vector has the length ${dot(v, v)}`);
    assert.ok(dot(embeddings[0], embeddings[1]) > dot(embeddings[0], embeddings[2]), "near texts have far vectors");
    const { embedding } = await client.embeddings({ model, prompt: input[0] });
    assert.ok(dot(embedding, embeddings[0]) > 0.999, "the older call gives another vector");
  });
}

for (const model of split("E2E_SCRIPTED")) {
  await check(`two tools at once, and their results, with ${model}`, async () => {
    const first = await client.chat({ model, messages: question, tools });
    assert.deepEqual(callsOf(first.message), callsWanted);
    const results = first.message.tool_calls.map((c) => ({ role: "tool", tool_name: c.function.name, content: `${c.function.name}: fine` }));
    const second = await client.chat({ model, messages: [...question, first.message, ...results], tools });
    assert.equal(second.message.content, "The tool says: population: fine");
  });

  await check(`streamed tools with ${model}`, async () => {
    const stream = await client.chat({ model, messages: question, tools, stream: true });
    const calls = [];
    const { last } = await follow(stream, (l) => void calls.push(...callsOf(l.message)));
    assert.deepEqual(calls, callsWanted);
    assert.ok(last.done);
  });

  await check(`an image for ${model}`, async () => {
    const { message } = await client.chat({ model, messages: [{ role: "user", content: "What is this?", images: [pixel] }] });
    assert.equal(message.content, "I see 1 image.");
    const { response } = await client.generate({ model, prompt: "What is this?", images: [Buffer.from(pixel, "base64")] });
    assert.equal(response, "I see 1 image.");
  });

  await check(`generate with ${model}`, async () => {
    const stream = await client.generate({ model, prompt: "What is the capital of France?", stream: true });
    const { text, pieces, last } = await follow(stream, (l) => l.response);
    assert.equal(text, "The capital of France is Paris.");
    assert.ok(pieces > 1 && last.done, JSON.stringify(last));
  });

  await check(`a stream of ${model} that breaks is an error, and has no end`, async () => {
    const stream = await client.chat({ model, messages: ask("Break off."), stream: true });
    let text = "";
    let ended = false;
    await assert.rejects(async () => {
      for await (const line of stream) {
        text += line.message.content;
        ended ||= line.done;
      }
    }, (e) => e instanceof Error && !/Did not receive done/.test(e.message));
    assert.ok(text.startsWith("The "), text);
    assert.ok(!ended, "the end came");
  });

  await check(`the limit of a provider of ${model} reaches the client`, async () => {
    await assert.rejects(client.chat({ model, messages: ask("Too many.") }), refused(429, /429/));
  });
}

for (const model of split("E2E_SCRIPTED")) await check(`thoughts of ${model} are kept apart from the answer`, async () => {
  const stream = await client.chat({ model, messages: ask("Think hard: the capital of France?"), think: true, stream: true });
  let thoughts = "";
  const { text } = await follow(stream, (l) => ((thoughts += l.message.thinking ?? ""), l.message.content));
  assert.equal(text, "It is Paris.");
  assert.equal(thoughts, "France, so Paris.");
});

await check("errors are of the client's kind", async () => {
  await assert.rejects(client.chat({ model: "agent/nobody", messages: question }), refused(404, /not found/));
  await assert.rejects(client.show({ model: "nobody" }), refused(404, /not found/));
  await assert.rejects(client.chat({ model: "words/default", messages: [{ role: "robot", content: "x" }] }), refused(400, /role/));
  await assert.rejects(client.generate({ model: "words/default", prompt: "a", suffix: "b" }), refused(400, /suffix/));
  await assert.rejects(client.pull({ model: "default" }), refused(501, /sutazai models pull/));
  await assert.rejects(client.delete({ model: "default" }), refused(501, /sutazai models pull/));
  await assert.rejects(connect("wrong").list(), refused(401, /./));
});

finish();
