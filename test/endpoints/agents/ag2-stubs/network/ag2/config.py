"""Settings of a model. An unknown one is a TypeError, as in the package."""

import dataclasses


@dataclasses.dataclass
class OpenAIConfig:
    model: str
    api_key: str | None = None
    base_url: str | None = None
    temperature: float | None = None
    streaming: bool = False
    timeout: float | None = None
    max_retries: int = 2
