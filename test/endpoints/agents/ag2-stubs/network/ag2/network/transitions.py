"""Who speaks after whom."""

import dataclasses
from typing import Any

conditions = {}


def register_condition(kind):
    conditions[kind.name] = kind


@dataclasses.dataclass
class AgentTarget:
    agent_id: str


@dataclasses.dataclass
class TerminateTarget:
    reason: str = "after_work"


@dataclasses.dataclass
class FromSpeaker:
    agent_id: str

    def evaluate(self, state, envelope):
        return envelope.sender_id == self.agent_id


@dataclasses.dataclass
class ContextEquals:
    key: str
    value: Any

    def evaluate(self, state, envelope):
        return state.context_vars.get(self.key) == self.value


@dataclasses.dataclass
class Transition:
    when: Any
    then: Any
    priority: int = 0


@dataclasses.dataclass
class TransitionGraph:
    initial_speaker: str
    transitions: list
    default_target: Any
    max_turns: int | None = None

    def to_dict(self):
        return {"graph": self}
