"""A hub with one kind of channel: a workflow whose turns a transition graph hands on."""

import asyncio
import dataclasses
from types import SimpleNamespace

from .transitions import AgentTarget, ContextEquals, FromSpeaker, TerminateTarget, Transition, TransitionGraph


@dataclasses.dataclass
class Handoff:
    target: str
    reason: str = ""


@dataclasses.dataclass
class Finish:
    summary: str = ""
    reason: str = "finished"


class Passport(SimpleNamespace):
    pass


class Resume:
    pass


class BaseHubListener:
    async def on_envelope_posted(self, envelope, metadata):
        pass

    async def on_channel_event(self, channel_id, kind, payload):
        pass

    async def on_turn_failed(self, channel_id, agent_id, envelope_id, exc):
        pass

    async def on_expectation_fired(self, channel_id, expectation, violation):
        pass


class Hub:
    @classmethod
    async def open(cls, store):
        hub = cls()
        hub.members, hub.listeners = {}, []
        return hub

    def register_listener(self, listener):
        self.listeners.append(listener)


class LocalLink:
    def __init__(self, hub):
        pass


class HubClient:
    def __init__(self, link, *, hub):
        self.hub = hub

    async def register(self, agent, passport, resume, *, attach_plugin):
        identity = f"id-{passport.name}"
        self.hub.members[identity] = agent
        return SimpleNamespace(agent_id=identity)

    async def register_human(self, passport):
        return Human(self.hub)

    async def close(self):
        pass


class Human:
    agent_id = "id-user"

    def __init__(self, hub):
        self.hub = hub

    async def open(self, *, type, target, knobs):
        return Channel(self.hub, knobs)


class Channel:
    def __init__(self, hub, knobs):
        self.hub, self.graph = hub, knobs["graph"]["graph"]
        self.state = SimpleNamespace(context_vars=dict(knobs["context_vars"]))
        self.turns, self.task = 0, None

    async def send(self, text):
        self.task = asyncio.ensure_future(self.run("id-user", text))

    async def close(self, reason=""):
        self.task.cancel()

    async def run(self, speaker, text):
        routing, body = {"kind": "text"}, text
        while True:
            envelope = SimpleNamespace(
                sender_id=speaker, event_type="ag2.packet", event_data={"routing": routing, "body": body, "context_updates": {"set": {}, "delete": []}}
            )
            for listener in self.hub.listeners:
                await listener.on_envelope_posted(envelope, None)
            self.turns += 1
            speaker = self.next(envelope, routing)
            if self.graph.max_turns is not None and self.turns >= self.graph.max_turns and not speaker.startswith("closed:"):
                speaker = "closed:max_turns"
            if speaker.startswith("closed:"):
                for listener in self.hub.listeners:
                    await listener.on_channel_event("c", "closed", {"reason": speaker[len("closed:") :]})
                return
            agent = self.hub.members[speaker]
            try:
                reply = await agent.ask(body)
            except Exception as error:
                for listener in self.hub.listeners:
                    await listener.on_turn_failed("c", speaker, "e", error)
                return
            body, routing = reply.body, {"kind": "text"}
            if agent.routing is not None:
                name, value = agent.routing
                if isinstance(value, Finish):
                    routing = {"kind": "finish", "reason": value.reason, "summary": value.summary}
                else:
                    routing = {"kind": "handoff", "tool": name, "target": f"id-{value.target}", "reason": value.reason}

    def next(self, envelope, routing):
        if routing["kind"] == "handoff":
            return routing["target"]
        if routing["kind"] == "finish":
            return f"closed:{routing['reason']}"
        for rule in sorted(self.graph.transitions, key=lambda rule: rule.priority):
            if rule.when.evaluate(self.state, envelope):
                return target(rule.then)
        return target(self.graph.default_target)


def target(value):
    return value.agent_id if isinstance(value, AgentTarget) else f"closed:{value.reason}"
