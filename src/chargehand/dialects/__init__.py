"""The interfaces of model providers, as far as they are read and answered here.

Pure: bytes and texts in, values out. The meter (`adapters.meter`) and the scripted model server (`testing.model`)
speak through it, so that neither knows a form the other does not.
"""

from .estimates import expected
from .reaching import DuplicateKey, leans_on_the_past, once_each, reaches_out
from .refusals import Refusal, refusal
from .resets import retry_at
from .routes import Dialect, Errand, Route, route
from .sse import Sse, SseEvents
from .usage import AnswerReader, StreamProblem, TokenUse

__all__ = [
    "AnswerReader",
    "Dialect",
    "DuplicateKey",
    "Errand",
    "Refusal",
    "Route",
    "Sse",
    "SseEvents",
    "StreamProblem",
    "TokenUse",
    "expected",
    "leans_on_the_past",
    "once_each",
    "reaches_out",
    "refusal",
    "retry_at",
    "route",
]
