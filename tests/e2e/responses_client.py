"""The unmodified Python package openai against /v1/responses: the nine cases of the Open Responses specification.

Input: E2E_URL, E2E_KEY, E2E_MODELS (models that answer in earnest) and E2E_SCRIPTED (models that follow responses_test.go's
script), comma-separated. Output: one line of JSON for each case.
"""

import base64
import json
import os
import sys
import time
import traceback

import openai

client = openai.OpenAI(base_url=os.environ["E2E_URL"] + "/v1", api_key=os.environ["E2E_KEY"], max_retries=0, timeout=240)
question = "What is the capital of France?"
models = os.environ["E2E_MODELS"].split(",")
scripted = os.environ["E2E_SCRIPTED"].split(",")
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
tools = [
    {
        "type": "function",
        "name": name,
        "description": f"Tells the {name} of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": False,
    }
    for name in ("weather", "population")
]
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


def ask(**request):
    r = client.responses.create(**request)
    assert r.object == "response" and r.status == "completed" and r.error is None and r.id.startswith("resp_"), r
    assert r.usage.input_tokens > 0 and r.usage.output_tokens > 0, r.usage
    assert r.usage.total_tokens == r.usage.input_tokens + r.usage.output_tokens, r.usage
    return r


def ask_streamed(**request):
    kinds, text = [], ""
    with client.responses.stream(**request) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert text == final.output_text, (text, final.output_text)
    return final, kinds


def raises(kind, fn):
    try:
        fn()
    except kind:
        return
    raise AssertionError("it was accepted")


def basic(model):
    assert ask(model=model, input=question).output_text.strip()


def streaming(model):
    final, kinds = ask_streamed(model=model, input=question)
    assert final.output_text.strip() and kinds.count("response.output_text.delta") > 1, kinds


def system_prompt(model):
    content = [{"type": "input_text", "text": question}]
    assert ask(model=model, instructions="Be brief.", input=[{"role": "user", "content": content}]).output_text.strip()


def previous(model):
    first = ask(model=model, input="My name is Ada.")
    second = ask(model=model, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    third = ask(model=model, input="And now?", previous_response_id=second.id)
    # A first turn may carry examples for small models.
    assert third.usage.input_tokens > second.usage.input_tokens, (second.usage, third.usage)


def says(model, want, **request):
    got = ask(model=model, **request).output_text
    assert got == want, got
    got, _ = ask_streamed(model=model, **request)
    assert got.output_text == want, got.output_text


def calls_of(response):
    calls = [i for i in response.output if i.type == "function_call"]
    wanted = [("weather", {"city": "Paris"}), ("population", {"city": "Paris"})]
    assert [(c.name, json.loads(c.arguments)) for c in calls] == wanted, calls
    assert len({c.call_id for c in calls}) == 2, calls
    return calls


def tool_call(model):
    calls_of(ask(model=model, input=question, tools=tools))
    calls_of(ask_streamed(model=model, input=question, tools=tools)[0])


def round_trip(model):
    first = ask(model=model, input=question, tools=tools)
    conversation = [{"role": "user", "content": question}, *first.output]
    for c in calls_of(first):
        conversation.append({"type": "function_call_output", "call_id": c.call_id, "output": c.name + ": fine"})
    says(model, "The tool says: population: fine", input=conversation, tools=tools)


def image(model):
    part = {"type": "input_image", "image_url": "data:image/png;base64," + pixel, "detail": "auto"}
    content = [{"type": "input_text", "text": "What is this?"}, part]
    says(model, "I see 1 images and 0 files.", input=[{"role": "user", "content": content}])


def file(model):
    data = base64.b64encode(b"%PDF-1.4 a small file").decode()
    part = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64," + data}
    content = [{"type": "input_text", "text": "What is this?"}, part]
    says(model, "I see 0 images and 1 files.", input=[{"role": "user", "content": content}])


def multi_turn(model):
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "What is my name?"},
    ]
    says(model, "You have spoken 2 times.", input=turns)


def previous_scripted(model):
    first = ask(model=model, input="My name is Ada.")
    second, _ = ask_streamed(model=model, input="What is my name?", previous_response_id=first.id)
    assert second.output_text == "You have spoken 2 times.", second.output_text
    for other in scripted:
        third = ask(model=other, input="And you?", previous_response_id=second.id)
        assert third.output_text == "You have spoken 3 times.", (other, third.output_text)


def stored(model):
    made = ask(model=model, input="Hi")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    items = [(i.type, i.role, i.content[0].text) for i in client.responses.input_items.list(made.id)]
    assert items == [("message", "user", "Hi")], items
    client.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(made.id))


def breaks_off(model):
    kinds, error = [], False
    try:
        for event in client.responses.create(model=model, input="Break off.", stream=True):
            kinds.append(event.type)
    except openai.APIError:
        error = True
    assert error or kinds[-1] in ("error", "response.failed"), kinds
    assert "response.completed" not in kinds and "response.incomplete" not in kinds, kinds


def errors():
    create = client.responses.create
    raises(openai.NotFoundError, lambda: create(model="agent/nobody", input=question))
    raises(openai.BadRequestError, lambda: create(model="words/default", input=question, background=True))
    raises(openai.BadRequestError, lambda: create(model="words/default", input=question, tools=[{"type": "web_search"}]))
    raises(openai.BadRequestError, lambda: create(model="words/default", input=question, previous_response_id="resp_nobody"))
    stranger = client.with_options(api_key="wrong")
    raises(openai.AuthenticationError, lambda: stranger.responses.create(model="default", input=question))


for m in models:
    check("basic: " + m, basic, m)
    check("streaming: " + m, streaming, m)
    check("system prompt: " + m, system_prompt, m)
    check("previous_response_id: " + m, previous, m)
for m in scripted:
    spoken = "You have spoken 1 times."
    check("basic and streaming: " + m, lambda m: says(m, spoken, input="Hi"), m)
    check("system prompt: " + m, lambda m: says(m, "I was told: Be a pirate.", instructions="Be a pirate.", input="Hi"), m)
    check("tool call: " + m, tool_call, m)
    check("function round trip: " + m, round_trip, m)
    check("image: " + m, image, m)
    check("file: " + m, file, m)
    check("multi-turn: " + m, multi_turn, m)
    check("previous_response_id: " + m, previous_scripted, m)
    check("a stored response is read, listed and deleted: " + m, stored, m)
    check("a stream that breaks has no made-up end: " + m, breaks_off, m)
check("what is wrong is an error of the client's kind", errors)
sys.exit(1 if failed else 0)
