"""Stands in for the package `autogen` 0.x: the names that the side program uses, with a chat that was written before."""

from types import SimpleNamespace

__version__ = "0.14.1"


class ConversableAgent:
    def __init__(self, name, **options):
        self.name, self.options = name, options
        self.handoffs = SimpleNamespace(
            add_llm_condition=lambda _: None, add_context_condition=lambda _: None, set_after_work=lambda _: None
        )


class Tool:
    def __init__(self, *, name, description, func_or_tool):
        self.name, self.function = name, func_or_tool


tools = SimpleNamespace(Tool=Tool)
