"""Orders of speaking."""

from types import SimpleNamespace


class DefaultPattern(SimpleNamespace):
    pass


class AutoPattern(SimpleNamespace):
    pass


class RoundRobinPattern(SimpleNamespace):
    pass


class RandomPattern(SimpleNamespace):
    pass
