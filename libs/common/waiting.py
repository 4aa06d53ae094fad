"""Waiting for others: whether it is we who were stopped."""

import asyncio


def is_cancelled() -> bool:
    """Whether somebody asked the running task to stop.

    A ``CancelledError`` alone does not say so: libraries also end with it what waits on a lost connection.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
