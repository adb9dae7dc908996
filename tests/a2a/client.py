"""The official Python client against agents of the server, by every transport and version that it has."""

import asyncio
import base64
import json
import os
import sys
import time
import traceback
import uuid

import grpc.aio
import httpx
import jwt
import uvicorn
from google.protobuf.json_format import MessageToDict, ParseDict
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from a2a.client.client import ClientCallContext, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import (
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest, GetTaskPushNotificationConfigRequest, GetTaskRequest,
    ListTaskPushNotificationConfigsRequest, ListTasksRequest, Role, SendMessageRequest, SubscribeToTaskRequest, TaskPushNotificationConfig, TaskState,
)

URL, KEY = os.environ["A2A_URL"], os.environ["A2A_KEY"]
AUTH = {"Authorization": "Bearer " + KEY}
CASES = []
told, news = [], asyncio.Event()


def case(name):
    def add(run):
        CASES.append((name, run))
        return run

    return add


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


async def fails(awaitable, word):
    try:
        await awaitable
    except Exception as err:  # every kind that the library has
        text = type(err).__name__ + " " + str(err)
        if word not in text:
            raise AssertionError(f"it fails with {text}, which does not say {word}") from err
        return
    raise AssertionError(f"it does not fail with {word}")


def request(text, **more):
    message = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [{"text": text}], **more.get("message", {})}
    return ParseDict({"message": message, "configuration": more.get("configuration", {})}, SendMessageRequest())


def text_of(task):
    return "".join(p.text for a in task.artifacts for p in a.parts)


class Way:
    """A client by one transport and version."""

    def __init__(self, binding, version):
        self.binding, self.version = binding, version
        self.old = version == "0.3"
        self.name = f"{binding.lower()} {version}"
        self.context = ClientCallContext(service_parameters={"authorization": AUTH["Authorization"]} if binding == "GRPC" else None, timeout=30)

    async def connect(self, agent="clerk", streaming=True):
        http = httpx.AsyncClient(headers=AUTH, timeout=30)
        card = await A2ACardResolver(http, f"{URL}/a2a/{agent}").get_agent_card()
        keep = [i for i in card.supported_interfaces if i.protocol_binding == self.binding and i.protocol_version == self.version]
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(keep)
        config = ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=[self.binding], grpc_channel_factory=grpc.aio.insecure_channel)
        return ClientFactory(config).create(card)

    async def send(self, client, req):
        """Sends without a stream."""
        async for event in client.send_message(req, context=self.context):
            return event.task
        raise AssertionError("it does not answer")


def cases(way):
    @case(f"{way.name}: card")
    async def _():
        card = await A2ACardResolver(httpx.AsyncClient(headers=AUTH), f"{URL}/a2a/clerk").get_agent_card()
        same(card.name, "clerk", "the name")
        assert card.capabilities.streaming and card.capabilities.push_notifications and len(card.skills)

    @case(f"{way.name}: send, and the same again")
    async def _():
        client = await way.connect(streaming=False)
        req = request("Greet me.")
        task = await way.send(client, req)
        same(task.status.state, TaskState.TASK_STATE_COMPLETED, "the state")
        same(text_of(task), "Hello, world.", "the answer")
        same((await way.send(client, req)).id, task.id, "the task of the repeated message")
        got = await client.get_task(GetTaskRequest(id=task.id), context=way.context)
        same([m.role for m in got.history], [Role.ROLE_USER, Role.ROLE_AGENT], "the history")
        more = await way.send(client, request("count", message={"contextId": task.context_id}))
        same(text_of(more), "You have spoken 2 times.", "the conversation")

    @case(f"{way.name}: send without waiting")
    async def _():
        client = await way.connect(streaming=False)
        task = await way.send(client, request("wait", configuration={"returnImmediately": True}))
        assert task.status.state in (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING), task.status.state
        gone = await client.cancel_task(CancelTaskRequest(id=task.id), context=way.context)
        same(gone.status.state, TaskState.TASK_STATE_CANCELED, "the state")

    @case(f"{way.name}: stream")
    async def _():
        client = await way.connect()
        text, pieces, last = "", 0, None
        async for event in client.send_message(request("Greet me."), context=way.context):
            last = event
            if event.HasField("artifact_update") and event.artifact_update.artifact.artifact_id == "answer":
                piece = "".join(p.text for p in event.artifact_update.artifact.parts)
                text = text + piece if event.artifact_update.append else piece
                pieces += 1
        same(text, "Hello, world.", "the text")
        assert pieces > 1, pieces
        same(last.status_update.status.state, TaskState.TASK_STATE_COMPLETED, "the end")

    @case(f"{way.name}: cancel and subscribe while it streams")
    async def _():
        client, done, last = await way.connect(), False, None
        async for event in client.send_message(request("wait"), context=way.context):
            last = event
            if done or not event.HasField("artifact_update"):
                continue
            done = True
            task = event.artifact_update.task_id
            second = client.subscribe(SubscribeToTaskRequest(id=task), context=way.context)
            first = await anext(second)
            same(first.task.id, task, "the first event of the second client")
            await client.cancel_task(CancelTaskRequest(id=task), context=way.context)
            end = [e async for e in second][-1]
            same(end.status_update.status.state, TaskState.TASK_STATE_CANCELED, "how it ended for the second client")
        assert done
        same(last.status_update.status.state, TaskState.TASK_STATE_CANCELED, "how it ended")

    @case(f"{way.name}: input required")
    async def _():
        client = await way.connect(streaming=False)
        asked = await way.send(client, request("ask"))
        same(asked.status.state, TaskState.TASK_STATE_INPUT_REQUIRED, "the state")
        same(asked.status.message.parts[0].text, "Which colour?", "the question")
        answered = await way.send(client, request("blue", message={"taskId": asked.id, "contextId": asked.context_id}))
        same(answered.status.state, TaskState.TASK_STATE_COMPLETED, "the state after the answer")
        assert "blue" in text_of(answered), text_of(answered)

    @case(f"{way.name}: approval")
    async def _():
        client = await way.connect("payer", streaming=False)
        asked = await way.send(client, request("write"))
        data = next(MessageToDict(p.data) for p in asked.status.message.parts if p.HasField("data"))
        same(data["approval"]["tool"], "write_file", "the call")
        answer = {"approval": data["approval"]["id"], "decision": "edit", "arguments": {"path": "a.txt", "content": "ink: 1"}}
        edited = await way.send(client, request("", message={"taskId": asked.id, "parts": [{"data": answer}]}))
        same(edited.status.state, TaskState.TASK_STATE_COMPLETED, "the state")
        same([bytes(p.raw) for a in edited.artifacts if a.name == "a.txt" for p in a.parts], [b"ink: 1"], "the file")

    @case(f"{way.name}: files")
    async def _():
        client = await way.connect(streaming=False)
        file = {"raw": base64.b64encode(b"of mine").decode(), "filename": "mine.txt", "mediaType": "text/plain"}
        task = await way.send(client, request("", message={"parts": [{"text": "look at mine.txt"}, file]}))
        assert "of mine" in text_of(task), text_of(task)

    @case(f"{way.name}: push notification")
    async def _():
        client = await way.connect(streaming=False)
        path = way.name.replace(" ", "-").replace("+", "-")
        asked = await way.send(client, request("ask"))
        config = await client.create_task_push_notification_config(TaskPushNotificationConfig(task_id=asked.id, id="mine", url=hook + path, token="tok"), context=way.context)
        same(config.url, hook + path, "the address")
        got = await client.get_task_push_notification_config(GetTaskPushNotificationConfigRequest(task_id=asked.id, id="mine"), context=way.context)
        same(got.url, hook + path, "what is stored")
        every = ListTaskPushNotificationConfigsRequest(task_id=asked.id)
        lists = not (way.old and way.binding == "HTTP+JSON")  # there the library can neither list nor delete them
        if lists:
            same(len((await client.list_task_push_notification_configs(every, context=way.context)).configs), 1, "how many there are")
        await way.send(client, request("blue", message={"taskId": asked.id}))
        while True:
            found = [n for n in told if n[0] == "/" + path and n[2].get("task", {}).get("status", {}).get("state") == "TASK_STATE_COMPLETED"]
            if found:
                break
            news.clear()
            await news.wait()
        _, headers, body = found[0]
        same(body["task"]["id"], asked.id, "whom it is about")
        same(headers["x-a2a-notification-token"], "tok", "the token")
        token = headers["authorization"].removeprefix("Bearer ")
        keys = jwt.PyJWKSet.from_dict((await httpx.AsyncClient().get(URL + "/.well-known/jwks.json")).json())
        claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["EdDSA"], audience=hook + path)
        same(claims["taskId"], asked.id, "whom the signature is about")
        if not lists:
            return
        await client.delete_task_push_notification_config(DeleteTaskPushNotificationConfigRequest(task_id=asked.id, id="mine"), context=way.context)
        same(len((await client.list_task_push_notification_configs(every, context=way.context)).configs), 0, "how many are left")

    @case(f"{way.name}: errors")
    async def _():
        client = await way.connect(streaming=False)
        await fails(client.get_task(GetTaskRequest(id="019ab3c1-0000-7000-8000-000000000000"), context=way.context), "TaskNotFound")
        task = await way.send(client, request("Greet me."))
        await fails(client.cancel_task(CancelTaskRequest(id=task.id), context=way.context), "TaskNotCancelable")
        await fails(way.send(client, request("more", message={"taskId": task.id})), "UnsupportedOperation")
        failed = await way.send(client, request("fail"))
        same(failed.status.state, TaskState.TASK_STATE_FAILED, "the state of what failed")

    if way.old:
        return

    @case(f"{way.name}: list")
    async def _():
        client = await way.connect(streaming=False)
        first = await way.send(client, request("Greet me."))
        await way.send(client, request("Greet me.", message={"contextId": first.context_id}))
        page = await client.list_tasks(ListTasksRequest(context_id=first.context_id, page_size=1, include_artifacts=True), context=way.context)
        same([len(page.tasks), page.total_size], [1, 2], "the first page")
        assert text_of(page.tasks[0])
        rest = await client.list_tasks(ListTasksRequest(context_id=first.context_id, page_size=1, page_token=page.next_page_token), context=way.context)
        same([t.id for t in rest.tasks] + [rest.next_page_token], [first.id, ""], "the second page")
        none = await client.list_tasks(ListTasksRequest(context_id="nobody's"), context=way.context)
        same(len(none.tasks), 0, "a context of nobody's")

    @case(f"{way.name}: extended card")
    async def _():
        client = await way.connect()
        card = await client.get_extended_agent_card(GetExtendedAgentCardRequest(), context=way.context)
        assert any(s.id == "tool:write_file" for s in card.skills), card.skills


for binding, version in [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("GRPC", "1.0"), ("JSONRPC", "0.3"), ("HTTP+JSON", "0.3")]:
    cases(Way(binding, version))


async def receive(req):
    told.append((req.url.path, dict(req.headers), json.loads(await req.body())))
    news.set()
    return Response(status_code=200)


async def main():
    global hook
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/{path}", receive, methods=["POST"])]), host="127.0.0.1", port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    hook = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    failed = 0
    for name, run in CASES:
        began, line = time.monotonic(), {"name": name}
        try:
            await asyncio.wait_for(run(), 60)
        except BaseException:
            line["error"] = traceback.format_exc()
            failed += 1
        line["seconds"] = time.monotonic() - began
        print(json.dumps(line), flush=True)
    server.should_exit = True
    await serving
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
