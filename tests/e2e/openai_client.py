"""The unmodified Python package openai against the server.

Input: E2E_URL, E2E_KEY, E2E_MODELS (comma-separated). Output: one line of JSON for each case.
"""

import json
import os
import sys
import time
import traceback

import openai

client = openai.OpenAI(base_url=os.environ["E2E_URL"] + "/v1", api_key=os.environ["E2E_KEY"], max_retries=0, timeout=240)
question = [{"role": "user", "content": "What is the capital of France?"}]
models = os.environ["E2E_MODELS"].split(",")
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


def lists_models():
    ids = [m.id for m in client.models.list()]
    assert set(models) <= set(ids), ids


def plain(model):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=question)
    answer = raw.parse()
    assert answer.choices[0].message.content.strip(), answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer
    if model.startswith("agent/"):
        assert len(raw.headers["x-sutazai-run"]) == 36, dict(raw.headers)


def streamed(model):
    pieces, finish, usage = [], None, None
    for chunk in client.chat.completions.create(
        model=model, messages=question, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        if chunk.choices:
            finish = chunk.choices[0].finish_reason or finish
            if chunk.choices[0].delta.content:
                pieces.append(chunk.choices[0].delta.content)
    assert "".join(pieces).strip(), "the answer is empty"
    assert len(pieces) > 1, pieces
    assert finish == "stop", finish
    assert usage and usage.completion_tokens > 0, usage


def unknown_model():
    try:
        client.chat.completions.create(model="agent/nobody", messages=question)
    except openai.NotFoundError:
        return
    raise AssertionError("it was accepted")


check("lists the models", lists_models)
for m in models:
    check("plain chat with " + m, plain, m)
    check("streamed chat with " + m, streamed, m)
check("an unknown model is an error of the client's kind", unknown_model)
sys.exit(1 if failed else 0)
