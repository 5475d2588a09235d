"""Batches that make themselves: what comes in while a call is under way goes out together with the next.

Nothing waits for a batch to fill, so a single item goes at once, and a crowd of them costs one call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Hands items to `call`, which gives a result for each, in order. What `call` raises goes to all of its items.

    Args:
        size: an item's weight; a batch holds at least one item, and no more than `limit` of weight.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        size: Callable[[Item], int],
        limit: int,
    ) -> None:
        self._call = call
        self._size = size
        self._limit = limit
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    def put(self, item: Item) -> asyncio.Future[Result]:
        """The item's result, once it is there. Whoever does not want it any more cancels it."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return result

    def close(self) -> None:
        """Gives no more results."""
        if self._sender is not None:
            self._sender.cancel()
        for _, result in self._waiting:
            result.cancel()
        self._waiting.clear()

    async def _send(self) -> None:
        await asyncio.sleep(0)  # those that are ready in this turn of the loop go together
        while self._waiting:
            batch = self._next()
            try:
                results = await self._call([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is for those who wait
                for _, result in batch:
                    if not result.done():
                        result.set_exception(error)
                continue
            except asyncio.CancelledError:
                for _, result in batch:
                    result.cancel()
                raise
            for (_, result), value in zip(batch, results, strict=True):
                if not result.done():
                    result.set_result(value)

    def _next(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = [self._waiting.popleft()]
        weight = self._size(batch[0][0])
        while self._waiting:
            weight += self._size(self._waiting[0][0])
            if weight > self._limit:
                break
            batch.append(self._waiting.popleft())
        return batch
