"""The unmodified Python package ollama against the server.

Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in earnest), E2E_SCRIPTED (models that follow ollama_test.go's script)
and E2E_VECTORS (models that make vectors), comma-separated. Output: one line of JSON for each case.
"""

import asyncio
import base64
import json
import os
import sys
import time
import traceback

import ollama

host = os.environ["E2E_URL"] + "/ollama"


def connect(key, kind=ollama.Client):
    return kind(host=host, headers={"Authorization": "Bearer " + key}, timeout=240)


client = connect(os.environ["E2E_KEY"])
question = [{"role": "user", "content": "What is the capital of France?"}]
models = os.environ["E2E_MODELS"].split(",")
scripted = os.environ["E2E_SCRIPTED"].split(",")
vectors = os.environ["E2E_VECTORS"].split(",")
pixel = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
calls_wanted = [("weather", {"city": "Paris"}), ("population", {"city": "Paris"})]
failed = 0


def check(name, fn, *args):
    global failed
    began, error = time.time(), ""
    try:
        fn(*args)
    except Exception:
        failed += 1
        error = traceback.format_exc()
    print(json.dumps({"name": name, "seconds": time.time() - began, "error": error}), flush=True)


def ask(content):
    return [{"role": "user", "content": content}]


def weather(city: str) -> str:
    """Tells the weather of a city.

    Args:
        city: the city's name
    """
    return "fine in " + city


def population(city: str) -> str:
    """Tells the population of a city.

    Args:
        city: the city's name
    """
    return "many in " + city


def calls_of(message):
    return [(c.function.name, dict(c.function.arguments)) for c in message.tool_calls or []]


def refused(status, text, fn, **request):
    try:
        fn(**request)
    except ollama.ResponseError as e:
        assert e.status_code == status and text in e.error, (e.status_code, e.error)
        return
    raise AssertionError("it was accepted")


def lists_models():
    listed = client.list().models
    names = {m.model for m in listed}
    assert set(models + scripted) <= names, names
    assert all(m.digest and m.modified_at for m in listed), listed
    for m in models + scripted:
        shown = client.show(m)
        assert ("tools" in shown.capabilities) == (not m.startswith("agent/")), shown


def plain(model):
    answer = client.chat(model=model, messages=question)
    assert answer.message.role == "assistant" and answer.message.content.strip(), answer
    assert answer.done and answer.done_reason == "stop", answer
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0 and answer.total_duration > 0, answer


def streamed(model):
    pieces, last = [], None
    for part in client.chat(model=model, messages=question, stream=True):
        if part.message.content:
            pieces.append(part.message.content)
        last = part
    assert "".join(pieces).strip() and len(pieces) > 1, pieces
    assert last.done and last.done_reason == "stop" and last.eval_count > 0, last
    assert 0 < last.eval_duration <= last.total_duration, last


def leaves(model):
    stream = client.chat(model=model, messages=ask("Write a long story about a lighthouse."), stream=True)
    for part in stream:
        if part.message.content:
            break
    stream.close()  # which closes the connection
    assert client.chat(model=model, messages=question, options={"num_predict": 32}).message.content.strip()


def asynchronous():
    async def go():
        own = connect(os.environ["E2E_KEY"], ollama.AsyncClient)
        text = ""
        async for part in await own.chat(model="default", messages=question, stream=True):
            text += part.message.content or ""
        return text

    assert asyncio.run(go()).strip()


def generates():
    answer = client.generate(model="default", prompt="Say hello.", options=ollama.Options(temperature=0, num_predict=16))
    assert answer.response.strip() and answer.done and 0 < answer.eval_count <= 16, answer
    assert client.generate(model="default").done_reason == "load"
    assert "local/default" in {m.model for m in client.ps().models}


def schema():
    form = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    answer = client.chat(model="default", messages=ask("Name a city as JSON."), format=form, options={"num_predict": 64})
    assert isinstance(json.loads(answer.message.content)["city"], str), answer


def embeds(model):
    # Other texts than those of the npm package's cases: vectors that come from the cache have cost no tokens.
    texts = ["A dog lies on the rug.", "The dog lies on a rug.", "It rains in Norway."]
    answer = client.embed(model=model, input=texts)
    a, b, c = answer.embeddings

    def dot(x, y):
        return sum(p * q for p, q in zip(x, y))

    assert abs(dot(a, a) - 1) < 1e-3 and dot(a, b) > dot(a, c), (dot(a, a), dot(a, b), dot(a, c))
    assert answer.prompt_eval_count > 0, answer.prompt_eval_count
    assert dot(client.embeddings(model=model, prompt=texts[0]).embedding, a) > 0.999


def uses_tools(model):
    first = client.chat(model=model, messages=question, tools=[weather, population])
    assert calls_of(first.message) == calls_wanted, first
    results = [{"role": "tool", "tool_name": c.function.name, "content": "fine"} for c in first.message.tool_calls]
    second = client.chat(model=model, messages=[*question, first.message, *results], tools=[weather, population])
    assert second.message.content == "The tool says: fine", second
    streamed = [c for p in client.chat(model=model, messages=question, tools=[weather, population], stream=True) for c in calls_of(p.message)]
    assert streamed == calls_wanted, streamed


def sees(model):
    answer = client.chat(model=model, messages=[{"role": "user", "content": "What is this?", "images": [pixel]}])
    assert answer.message.content == "I see 1 image.", answer
    text = "".join(p.response for p in client.generate(model=model, prompt="What is this?", images=[pixel], stream=True))
    assert text == "I see 1 image.", text


def breaks_off(model):
    text, ended = "", False
    try:
        for part in client.chat(model=model, messages=ask("Break off."), stream=True):
            text += part.message.content or ""
            ended = ended or part.done
    except ollama.ResponseError as e:
        assert e.error and text.startswith("The ") and not ended, (e.error, text, ended)
        return
    raise AssertionError("it came to an end: " + text)


def thinks(model):
    answer = client.chat(model=model, messages=ask("Think hard: the capital of France?"), think=True)
    assert answer.message.content == "It is Paris." and answer.message.thinking == "France, so Paris.", answer


def errors():
    refused(404, "not found", client.chat, model="agent/nobody", messages=question)
    refused(404, "not found", client.show, model="nobody")
    refused(400, "suffix", client.generate, model="words/default", prompt="a", suffix="b")
    refused(501, "sutazai models pull", client.pull, model="default")
    refused(501, "sutazai models pull", client.delete, model="default")
    refused(401, "", connect("wrong").list)


check("lists and shows the models", lists_models)
for m in models:
    check("a chat with " + m, plain, m)
    check("a stream of " + m, streamed, m)
    check("leaving a stream of " + m, leaves, m)
check("the asynchronous client", asynchronous)
check("generate with the real model", generates)
check("an answer in the form of a schema", schema)
for m in vectors:
    check("vectors of " + m, embeds, m)
for m in scripted:
    check("tools with " + m, uses_tools, m)
    check("an image for " + m, sees, m)
    check("thoughts of " + m, thinks, m)
    check(f"a stream of {m} that breaks is an error", breaks_off, m)
    check(f"the limit of a provider of {m} reaches the client", refused, 429, "429", lambda m=m: client.chat(model=m, messages=ask("Too many.")))
check("errors are of the client's kind", errors)
sys.exit(1 if failed else 0)
