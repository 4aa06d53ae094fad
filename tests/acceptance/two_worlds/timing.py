"""Whether two kinds of requests can be told apart by how long they take.

Requests of both kinds are asked in turn, so that whatever else the machine does meets both. What is asserted
is the size of the effect, with its confidence interval; the Kolmogorov-Smirnov figure is printed beside it.
"""

import math
import random
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far two kinds of requests lie apart; times in milliseconds.

    Attributes:
        difference: of the medians, second minus first.
        low, high: its 99 % bootstrap interval.
        distance: largest gap between the two distributions; ``p_value`` of the two-sample test of it.
    """

    pairs: int
    medians: tuple[float, float]
    difference: float
    low: float
    high: float
    distance: float
    p_value: float

    def __str__(self) -> str:
        """One line for the record."""
        return (
            f"{self.pairs} pairs, medians {self.medians[0]:.3f} and {self.medians[1]:.3f} ms, difference "
            f"{self.difference:+.3f} ms, 99 % interval {self.low:+.3f} … {self.high:+.3f} ms, "
            f"Kolmogorov-Smirnov D = {self.distance:.4f}, p = {self.p_value:.3f}"
        )


def weigh(first: Sequence[float], second: Sequence[float], *, rounds: int = 400, seed: int = 7) -> Verdict:
    """Compare two kinds of requests that were asked in pairs."""
    chance = random.Random(seed)  # a bootstrap, nothing secret
    pairs = list(zip(first, second, strict=True))
    moved = sorted(
        statistics.median([b for _, b in again]) - statistics.median([a for a, _ in again])
        for again in (chance.choices(pairs, k=len(pairs)) for _ in range(rounds))
    )
    medians = (statistics.median(first), statistics.median(second))
    distance = _distance(first, second)
    return Verdict(
        pairs=len(pairs),
        medians=medians,
        difference=medians[1] - medians[0],
        low=moved[int(rounds * 0.005)],
        high=moved[int(rounds * 0.995) - 1],
        distance=distance,
        p_value=_p_value(distance, len(first), len(second)),
    )


def _distance(first: Sequence[float], second: Sequence[float]) -> float:
    left, right = sorted(first), sorted(second)
    return max(
        abs(bisect_right(left, at) / len(left) - bisect_right(right, at) / len(right))
        for at in [*left, *right]
    )


def _p_value(distance: float, first: int, second: int) -> float:
    """Kolmogorov's asymptotic distribution (Press et al., Numerical Recipes §14.3)."""
    size = math.sqrt(first * second / (first + second))
    at = (size + 0.12 + 0.11 / size) * distance
    if at < 0.2:
        return 1.0
    total = 2.0 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * at * at) for k in range(1, 101))
    return min(1.0, max(0.0, float(total)))
