"""Where a hub keeps what it knows."""


class MemoryKnowledgeStore:
    pass
