"""The unmodified Python package anthropic against the server.

Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in earnest) and E2E_SCRIPTED (models that follow anthropic_test.go's
script), comma-separated. Output: one line of JSON for each case.
"""

import base64
import json
import os
import sys
import time
import traceback

import anthropic

options = {"base_url": os.environ["E2E_URL"], "api_key": os.environ["E2E_KEY"], "max_retries": 0, "timeout": 240}
client = anthropic.Anthropic(**options)
question = [{"role": "user", "content": "What is the capital of France?"}]
models = os.environ["E2E_MODELS"].split(",")
scripted = os.environ["E2E_SCRIPTED"].split(",")
tools = [
    {
        "name": name,
        "description": f"Tells the {name} of a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("weather", "population")
]
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


def text_of(message):
    return "".join(b.text for b in message.content if b.type == "text")


def calls_of(message):
    return [b for b in message.content if b.type == "tool_use"]


def raises(kind, error_type, **request):
    try:
        client.messages.create(**{"model": "default", "max_tokens": 9, "messages": question, **request})
    except kind as e:
        assert e.body["error"]["type"] == error_type, e.body
        return e
    raise AssertionError("it was accepted")


def plain(model):
    raw = client.messages.with_raw_response.create(model=model, max_tokens=256, messages=question)
    message = raw.parse()
    assert message.type == "message" and message.role == "assistant", message
    assert text_of(message).strip(), message
    assert message.stop_reason == "end_turn", message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    assert message._request_id, dict(raw.headers)
    if model.startswith("agent/"):
        assert len(raw.headers["x-sutazai-run"]) == 36, dict(raw.headers)


def streamed(model):
    with client.messages.stream(model=model, max_tokens=256, system="Be brief.", messages=question) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert text_of(message) == "".join(pieces) and text_of(message).strip(), pieces
    assert len(pieces) > 1, pieces
    assert message.stop_reason == "end_turn", message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage


def tool_round(model):
    first = client.messages.create(model=model, max_tokens=256, messages=question, tools=tools, tool_choice={"type": "any"})
    calls = calls_of(first)
    assert first.stop_reason == "tool_use", first
    assert [(c.name, c.input) for c in calls] == calls_wanted, calls
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": c.name + ": fine"} for c in calls]
    messages = [*question, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(model=model, max_tokens=256, messages=messages, tools=tools)
    assert text_of(second) == "The tool says: population: fine", second


def tool_stream(model):
    with client.messages.stream(model=model, max_tokens=256, messages=question, tools=tools) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_message()
    assert "input_json" in kinds, kinds
    assert [(c.name, c.input) for c in calls_of(message)] == calls_wanted, message
    assert message.stop_reason == "tool_use", message


def image(model):
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}},
    ]
    message = client.messages.create(model=model, max_tokens=64, messages=[{"role": "user", "content": content}])
    assert text_of(message) == "I see 1 image.", message


def broken(model):
    text, ended = "", False
    try:
        with client.messages.stream(model=model, max_tokens=64, messages=[{"role": "user", "content": "Break off."}]) as stream:
            for event in stream:
                text += event.text if event.type == "text" else ""
                ended = ended or event.type == "message_stop"
    except anthropic.APIStatusError as e:
        assert e.body["error"]["type"] in ("overloaded_error", "api_error"), e.body
        assert text.startswith("The ") and not ended, text
        return
    raise AssertionError("the stream had an end")


def limited(model):
    e = raises(anthropic.RateLimitError, "rate_limit_error", model=model, messages=[{"role": "user", "content": "Too many."}])
    assert int(e.response.headers["retry-after"]) > 0, dict(e.response.headers)


def counted():
    short = client.messages.count_tokens(model=models[0], messages=question)
    long = client.messages.count_tokens(model=models[0], system="Be brief. " * 50, messages=question, tools=tools)
    assert 3 < short.input_tokens < long.input_tokens - 100, (short, long)


def unknown_model():
    raises(anthropic.NotFoundError, "not_found_error", model="agent/nobody")


def wrong_request():
    raises(anthropic.BadRequestError, "invalid_request_error", model="agent/assistant", tools=tools)


def wrong_key():
    stranger = anthropic.Anthropic(**{**options, "api_key": "wrong"})
    try:
        stranger.messages.create(model="default", max_tokens=9, messages=question)
    except anthropic.AuthenticationError as e:
        assert e.body["error"]["type"] == "authentication_error", e.body
        return
    raise AssertionError("it was accepted")


for m in models:
    check("a message of " + m, plain, m)
    check("a stream of " + m, streamed, m)
for m in scripted:
    check("two tools at once, and their results, with " + m, tool_round, m)
    check("streamed tools with " + m, tool_stream, m)
    check("an image for " + m, image, m)
    check(f"a stream of {m} that breaks is an error, and has no end", broken, m)
    check(f"the limit of a provider of {m} reaches the client", limited, m)
check("tokens are counted", counted)
check("an unknown model is an error of the client's kind", unknown_model)
check("a wrong request is an error of the client's kind", wrong_request)
check("a wrong key is an error of the client's kind", wrong_key)
sys.exit(1 if failed else 0)
