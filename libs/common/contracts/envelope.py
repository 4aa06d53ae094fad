"""The form of every event: a frozen pydantic model that knows its CloudEvents type and its readers.

An event never carries personal data (architecture §2.3): no name, address, narrative, school or
identity number. Ids of agencies that would point at a child travel sealed for their reader.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """A fact that one service tells the others.

    Attributes:
        type: CloudEvents ``type``; reverse DNS, noun, past verb, version. A breaking change is a new
            class with ``.v2``, never an edit.
        publisher: the one service that may add it to its outbox.
        consumers: services whose inbox takes it; empty for events that only outside observers read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    publisher: ClassVar[str]
    consumers: ClassVar[tuple[str, ...]] = ()
