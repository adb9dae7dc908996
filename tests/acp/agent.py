"""An agent by the Python library; the user's message says what it does. It cannot take up sessions."""

import asyncio
import itertools

import acp
from acp.schema import AgentCapabilities, PermissionOption, ToolCallUpdate


class Agent(acp.Agent):
    def __init__(self):
        self.count = itertools.count()
        self.stops = {}

    def on_connect(self, conn):
        self.client = conn

    async def initialize(self, protocol_version, **_):
        return acp.InitializeResponse(protocol_version=1, agent_capabilities=AgentCapabilities())

    async def new_session(self, cwd, **_):
        return acp.NewSessionResponse(session_id=f"p-{next(self.count)}")

    async def cancel(self, session_id, **_):
        self.stops[session_id].set()

    async def prompt(self, session_id, prompt, **_):
        self.stops[session_id] = asyncio.Event()
        text = "\n".join(getattr(block, "text", "") for block in prompt)

        async def say(words):
            await self.client.session_update(session_id, acp.update_agent_message_text(words))

        if "conversation so far" in text:
            await say("I was told what happened.")
        elif "greet" in text:
            await say("Hello, ")
            await say("Python.")
        elif "pay" in text:
            answer = await self.client.request_permission(
                session_id=session_id,
                tool_call=ToolCallUpdate(tool_call_id="t1", title="pay", raw_input={"amount": 5}),
                options=[
                    PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                    PermissionOption(option_id="no", name="No", kind="reject_once"),
                ],
            )
            if answer.outcome.outcome == "cancelled":
                return acp.PromptResponse(stop_reason="cancelled")
            await say("paid" if answer.outcome.option_id == "yes" else "not paid")
        elif "wait" in text:
            await say("waiting")
            await self.stops[session_id].wait()
            return acp.PromptResponse(stop_reason="cancelled")
        return acp.PromptResponse(stop_reason="end_turn")


asyncio.run(acp.run_agent(Agent()))
