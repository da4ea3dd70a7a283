"""A chat in which the first agent calls two tools at once, and every agent speaks."""

from types import SimpleNamespace


def event(kind, **fields):
    return type(kind, (SimpleNamespace,), {})(content=SimpleNamespace(**fields))


class Response:
    def __init__(self, pattern):
        self.pattern = pattern
        self.context_variables = SimpleNamespace(data={"approved": True})
        self.cost = None

    async def __aiter__(self):
        first, *rest = self.pattern.agents
        yield event("TextEvent", sender="user", content="the task")
        yield event("GroupChatRunChatEvent", speaker=first.name)
        calls = [call("call_1"), call("call_2")]
        yield event("ToolCallEvent", sender=first.name, tool_calls=calls)
        answers = [SimpleNamespace(tool_call_id=entry.id, content="3 hits") for entry in calls]
        yield event("ToolResponseEvent", sender="_Group_Tool_Executor", tool_responses=answers)
        yield event("TextEvent", sender=first.name, content="First, a plan.")
        for agent in rest:
            yield event("GroupChatRunChatEvent", speaker=agent.name)
            yield event("TextEvent", sender=agent.name, content=[{"type": "text", "text": "Final text"}])
        yield event("TerminationEvent", termination_reason="No next speaker selected")


def call(identity):
    return SimpleNamespace(id=identity, function=SimpleNamespace(name="lookup", arguments='{"q": "lru"}'))


async def a_run_group_chat_iter(pattern, messages, max_rounds=20):
    return Response(pattern)
