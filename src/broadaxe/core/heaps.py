"""Reading a heap in its order without taking it apart."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def in_order(heap: Sequence[T]) -> Iterator[T]:
    """The entries of a heap, the least first. The first k cost O(k log k), whatever the size of the heap."""
    frontier: list[tuple[Any, int]] = [(heap[0], 0)] if heap else []
    while frontier:
        entry, index = heapq.heappop(frontier)
        yield entry
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heapq.heappush(frontier, (heap[child], child))
