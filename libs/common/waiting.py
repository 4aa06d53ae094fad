"""Waiting for others: whether it is we who were stopped, and what may hang without holding up anybody."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def is_cancelled() -> bool:
    """Whether somebody asked the running task to stop.

    A ``CancelledError`` alone does not say so: libraries also end with it what waits on a lost connection.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def on_a_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it on a thread of its own: for what may hang for ever, such as a file of a mount that is away.

    ``asyncio.to_thread`` has a handful of threads for the whole process, and the process waits for them when
    it ends. Whoever calls this bounds how many there are.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # no error: then this is what the work gave

    def run() -> None:
        result: T | None = None
        error: Exception | None = None
        try:
            result = work(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001  # whatever it is, whoever waits is told
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name=f"aside-{getattr(work, '__name__', '')}", daemon=True).start()
    return await done
