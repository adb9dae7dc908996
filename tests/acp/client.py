"""The Python library as the client of `sutazai acp`. Input: ACP_COMMAND (JSON list) and ACP_CWD; the model follows
acp_test.go's script. Output: one line of JSON for each case."""

import asyncio
import contextlib
import json
import os
import sys
import time
import traceback

import acp
from acp.schema import AllowedOutcome, ClientCapabilities, FileSystemCapabilities

command = json.loads(os.environ["ACP_COMMAND"])
cwd = os.environ["ACP_CWD"]
failed = 0


class Client(acp.Client):
    def __init__(self, option):
        self.option, self.heard, self.asked, self.news = option, [], [], asyncio.Event()

    def on_connect(self, conn):
        pass

    async def session_update(self, session_id, update, **_):
        self.heard.append(update)
        self.news.set()

    async def request_permission(self, session_id, tool_call, options, **_):
        self.asked.append(tool_call)
        chosen = next(o for o in options if o.kind == self.option)
        return acp.RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen.option_id))

    def text(self):
        return "".join(u.content.text for u in self.heard if u.session_update == "agent_message_chunk")


@contextlib.asynccontextmanager
async def connect(agent, option="allow_once"):
    client = Client(option)
    async with acp.spawn_agent_process(client, command[0], *command[1:], "acp", agent, env=dict(os.environ)) as (conn, _):
        await conn.initialize(protocol_version=1, client_capabilities=ClientCapabilities(fs=FileSystemCapabilities()))
        yield client, conn


async def streamed():
    async with connect("talker") as (client, conn):
        session = await conn.new_session(cwd=cwd, mcp_servers=[])
        end = await conn.prompt(session_id=session.session_id, prompt=[acp.text_block("greet me")])
        assert end.stop_reason == "end_turn", end
        assert client.text() == "Hello from SutazAI.", client.text()
    async with connect("talker") as (client, conn):
        await conn.load_session(cwd=cwd, session_id=session.session_id, mcp_servers=[])
        assert [u.content.text for u in client.heard] == ["greet me", "Hello from SutazAI."], client.heard
        client.heard.clear()
        await conn.prompt(session_id=session.session_id, prompt=[acp.text_block("what was that?")])
        assert client.text() == "I greeted you.", client.text()


async def approvals():
    for option, want in (("allow_once", "written"), ("reject_once", "refused")):
        async with connect("writer", option) as (client, conn):
            session = await conn.new_session(cwd=cwd, mcp_servers=[])
            await conn.prompt(session_id=session.session_id, prompt=[acp.text_block("write it")])
            assert len(client.asked) == 1 and "note.txt" in client.asked[0].title, client.asked
            assert want in client.text(), client.text()


async def question():
    async with connect("asker") as (client, conn):
        session = await conn.new_session(cwd=cwd, mcp_servers=[])
        await conn.prompt(session_id=session.session_id, prompt=[acp.text_block("choose")])
        assert client.text() == "Which colour?", client.text()
        await conn.prompt(session_id=session.session_id, prompt=[acp.text_block("blue")])
        assert client.text().endswith("You said blue."), client.text()


async def cancelled():
    async with connect("talker") as (client, conn):
        session = await conn.new_session(cwd=cwd, mcp_servers=[])
        turn = asyncio.create_task(conn.prompt(session_id=session.session_id, prompt=[acp.text_block("wait for me")]))
        await client.news.wait()
        await conn.cancel(session_id=session.session_id)
        assert (await turn).stop_reason == "cancelled"


async def wrong():
    async with connect("talker") as (_, conn):
        try:
            await conn.prompt(session_id="nowhere", prompt=[acp.text_block("x")])
        except acp.RequestError as e:
            assert "params.sessionId" in str(e), e
        else:
            raise AssertionError("it was accepted")


def check(name, fn):
    global failed
    began, error = time.time(), ""
    try:
        asyncio.run(asyncio.wait_for(fn(), 120))
    except Exception:
        failed += 1
        error = traceback.format_exc()
    print(json.dumps({"name": name, "seconds": time.time() - began, "error": error}), flush=True)


check("a turn is streamed; a session is loaded by another process", streamed)
check("approvals are asked for, given and refused", approvals)
check("a question ends the turn, and the next message answers it", question)
check("a turn is cancelled", cancelled)
check("what is wrong is said", wrong)
sys.exit(1 if failed else 0)
