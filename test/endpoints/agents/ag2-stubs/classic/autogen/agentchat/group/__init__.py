"""Conditions and targets: what they hold is all that matters here."""

from types import SimpleNamespace


class AgentTarget(SimpleNamespace):
    def __init__(self, agent):
        super().__init__(agent=agent)


class TerminateTarget(SimpleNamespace):
    pass


class ContextVariables(SimpleNamespace):
    pass


class ContextExpression(SimpleNamespace):
    def __init__(self, expression):
        super().__init__(expression=expression)


class ExpressionContextCondition(SimpleNamespace):
    pass


class OnContextCondition(SimpleNamespace):
    pass


class OnCondition(SimpleNamespace):
    pass


class StringLLMCondition(SimpleNamespace):
    pass
