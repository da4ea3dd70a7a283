"""Stands in for the package `ag2` 1.x: the names that the side program uses, with agents that play a script instead of asking a model.

An agent's prompt is a JSON list of steps: {"chunks":[…]} streams a message, {"say":…} gives one whole, {"tool":…,"input":…} calls a tool,
{"fail":status} is what a vendor's refusal looks like, {"sleep":seconds}, {"ask":question}, {"config":true} says its model's settings.
"""

import asyncio
import dataclasses
import inspect
import json
from types import SimpleNamespace

__version__ = "1.2.1"


def event(kind, **fields):
    return type(kind, (SimpleNamespace,), {})(**fields)


class Tool:
    def __init__(self, function, name, description, schema=None):
        self.function, self.name, self.description, self.schema = function, name, description, schema


def tool(function, *, name=None, description=None, schema=None):
    return Tool(function, name or function.__name__, description or "", schema)


def observer(condition, callback):
    return callback


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(f"Error code: {status} - {message}")
        self.status_code = status


class Agent:
    def __init__(self, name, prompt, *, config=None, tools=(), observers=(), hitl_hook=None):
        self.name, self.prompt, self.config = name, prompt, config
        self.tools = {entry.name: entry for entry in tools}
        self.observers, self.hook, self.routing = observers, hitl_hook, None

    async def tell(self, kind, **fields):
        for call in self.observers:
            await call(event(kind, **fields))

    async def ask(self, text):
        self.routing, body = None, ""
        for number, step in enumerate(json.loads(self.prompt)):
            body = await self.play(step, number + 1) or body
        await self.tell("UsageEvent", usage=SimpleNamespace(prompt_tokens=120, completion_tokens=40), model="anything")
        return SimpleNamespace(body=body)

    async def play(self, step, number):
        if "fail" in step:
            raise Refused(step["fail"], step.get("message", "refused"))
        if "sleep" in step:
            await asyncio.sleep(step["sleep"])
        if "chunks" in step:
            for piece in step["chunks"]:
                await self.tell("ModelMessageChunk", content=piece)
            return "".join(step["chunks"])
        if "ask" in step:
            question = event("HumanInputRequest", id=f"h{number}", content=step["ask"])
            return await self.hook(question)
        if "config" in step:
            return json.dumps(dataclasses.asdict(self.config))
        if "tool" in step:
            await self.use(step["tool"], step.get("input", {}), f"call_{number}")
        return step.get("say")

    async def use(self, name, given, identity):
        call = event("ToolCallEvent", id=identity, name=name, arguments=json.dumps(given))
        await self.tell("ToolCallsEvent", calls=[call])
        entry = self.tools[name]
        value = entry.function(**given)
        value = await value if inspect.isawaitable(value) else value
        if hasattr(value, "target") or hasattr(value, "summary"):
            self.routing = (name, value)
        part = SimpleNamespace(content=value if isinstance(value, str) else json.dumps(value, default=str))
        # As in the package: an observer hears of the single call only after it was carried out.
        await self.tell("ToolResultEvent", parent_id=identity, name=name, result=SimpleNamespace(parts=[part]))
        await self.tell("ToolCallEvent", id=identity, name=name, arguments=json.dumps(given))
