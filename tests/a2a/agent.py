"""Agents served by the official Python library, by every transport that it has. Prints its address on a line of its own;
/stopped says how many tasks it was told to stop."""

import asyncio
import json
import uuid

import grpc.aio
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.json_format import MessageToDict, ParseDict
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from a2a.helpers.proto_helpers import new_raw_part, new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.routes.jsonrpc_routes import create_jsonrpc_routes
from a2a.server.routes.rest_routes import create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCard, TaskState
from a2a.types.a2a_pb2_grpc import add_A2AServiceServicer_to_server
from a2a.utils.signing import create_agent_card_signer

stopped = 0


class Clerk(AgentExecutor):
    async def execute(self, context, queue):
        task = context.current_task
        before = task.status.state if task else None
        if not task:
            task = new_task_from_user_message(context.message)
            task.id, task.context_id = context.task_id, context.context_id
            await queue.enqueue_event(task)
        do = TaskUpdater(queue, context.task_id, context.context_id)
        text = "\n".join(p.text for p in context.message.parts if p.HasField("text"))
        file = next((p for p in context.message.parts if p.HasField("raw")), None)
        say = lambda words: new_text_message(words, context_id=context.context_id, task_id=context.task_id)
        if before == TaskState.TASK_STATE_INPUT_REQUIRED:
            await do.add_artifact([new_text_part(f"You said {text}")], name="answer")
            await do.complete()
        elif "ask" in text:
            await do.requires_input(say("Which colour?"))
        elif "fail" in text:
            await do.failed(say("no ink"))
        elif "report" in text:
            await do.add_artifact([new_text_part("See the report.")], name="answer")
            await do.add_artifact([new_raw_part(b"ink: 0", filename="report.txt", media_type="text/plain")], name="report")
            await do.complete()
        elif file:
            await do.add_artifact([new_text_part(f"I read {file.filename}: {file.raw.decode()}")], name="answer")
            await do.complete()
        elif "wait" in text:
            await do.start_work()
            await do.add_artifact([new_text_part("Working ")], artifact_id="answer")
            await asyncio.sleep(3600)
        else:
            await do.start_work()
            await do.add_artifact([new_text_part("Hello, ")], artifact_id="answer")
            await asyncio.sleep(0.05)
            await do.add_artifact([new_text_part("world.")], artifact_id="answer", append=True)
            await do.complete()

    async def cancel(self, context, queue):
        global stopped
        stopped += 1
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


def card(binding, url, streaming):
    made = ParseDict({
        "name": "clerk", "description": "Files invoices.", "version": "1.0.0", "capabilities": {"streaming": streaming},
        "defaultInputModes": ["text/plain", "application/octet-stream"], "defaultOutputModes": ["text/plain"],
        "supportedInterfaces": [{"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}],
        "skills": [{"id": "file", "name": "File", "description": "Files an invoice.", "tags": ["invoices"]}],
        "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "bearer"}}},
        "securityRequirements": [{"schemes": {"bearer": {"list": []}}}],
    }, AgentCard())
    return create_agent_card_signer(key, {"alg": "ES256", "kid": "one", "typ": "JOSE", "jku": None})(made)


key = ec.generate_private_key(ec.SECP256R1())


async def main():
    routes = [
        Route("/stopped", lambda _: JSONResponse(stopped)),
        Route("/keys.json", lambda _: JSONResponse({"keys": [{**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "one", "alg": "ES256", "use": "sig"}]})),
    ]
    app = Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    rpc = grpc.aio.server()
    port = rpc.add_insecure_port("127.0.0.1:0")
    for streaming in (True, False):
        for name, binding in (("jsonrpc", "JSONRPC"), ("rest", "HTTP+JSON"), ("grpc", "GRPC")):
            path = name if streaming else name + "-whole"
            c = card(binding, f"127.0.0.1:{port}" if name == "grpc" else f"{base}/{path}/a2a", streaming)
            handler = DefaultRequestHandler(agent_executor=Clerk(), task_store=InMemoryTaskStore(), agent_card=c)
            app.router.routes.append(Route(f"/{path}/.well-known/agent-card.json", lambda _, c=c: JSONResponse(MessageToDict(c))))
            if name == "jsonrpc":
                app.router.routes.extend(create_jsonrpc_routes(handler, rpc_url=f"/{path}/a2a"))
            elif name == "rest":
                app.router.routes.append(Mount(f"/{path}/a2a", routes=create_rest_routes(handler)))
            elif streaming:
                add_A2AServiceServicer_to_server(GrpcHandler(handler), rpc)
    await rpc.start()
    print(base, flush=True)
    await serving
    await rpc.stop(None)


asyncio.run(main())
