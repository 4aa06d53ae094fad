"""Telling whether we were asked to stop, or somebody else's end reached us as a cancellation."""

import asyncio
import contextlib
from collections.abc import Iterator


def is_asked() -> bool:
    """Whether the task that runs was itself asked to end; else its ``CancelledError`` came from elsewhere.

    A future that is cancelled, because the connection it waits on is gone, cancels whoever waits for it.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


@contextlib.contextmanager
def lost_with_connection() -> Iterator[None]:
    """Make a failure of what a client cancels when its connection goes.

    Raises:
        ConnectionError: what was waited for will never be answered.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if is_asked():
            raise
        raise ConnectionError("the connection went before the answer came") from error
