"""From repeats to a value with its interval: median, outliers counted, repeats that disagree marked unstable."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_REPEATS = 4
#: A repeat this many robust standard deviations from the median is an outlier.
OUTLIER_DEVIATIONS = 5.0
_NORMAL = 1.4826  # standard deviation / median absolute deviation, of a normal distribution
MOST_OUTLIERS = 0.25


@dataclass(frozen=True)
class Summary:
    """What repeats say together; `why_unstable` is empty when they agree."""

    value: float
    low: float
    high: float
    outliers: int
    why_unstable: str

    @property
    def stable(self) -> bool:
        """Whether the repeats agree within their tolerance."""
        return not self.why_unstable


def summarise(repeats: Sequence[float], tolerance: float, resolution: float = 0.0) -> Summary:
    """Summarise repeats of one entry; ValueError when there is none.

    `tolerance` is the relative, `resolution` the absolute half-width that the interval has at least, and that the
    middle half of the repeats may spread. Stable: the interval holds all repeats but the outliers. Unstable: it holds
    all of them and as much again on both sides.
    """
    if not repeats:
        raise ValueError("no repeats")
    middle = statistics.median(repeats)
    allowed = max(tolerance * abs(middle), resolution)
    deviation = _NORMAL * statistics.median(abs(one - middle) for one in repeats)
    reach = max(OUTLIER_DEVIATIONS * deviation, allowed)
    kept = [one for one in repeats if abs(one - middle) <= reach]
    outliers = len(repeats) - len(kept)
    why = _disagreement(repeats, outliers, allowed)
    if why:
        least, most = min(repeats), max(repeats)
        spread = max(most - least, allowed)
        return Summary(middle, max(0.0, least - spread), most + spread, outliers, why)
    return Summary(middle, max(0.0, min(*kept, middle - allowed)), max(*kept, middle + allowed), outliers, "")


def _disagreement(repeats: Sequence[float], outliers: int, allowed: float) -> str:
    if len(repeats) < FEWEST_REPEATS:
        return f"only {len(repeats)} repeats"
    if outliers > MOST_OUTLIERS * len(repeats):
        return f"{outliers} of {len(repeats)} repeats are outliers"
    lower, _, upper = statistics.quantiles(repeats, n=4, method="inclusive")
    if (upper - lower) / 2 > allowed:
        return f"the middle half of the repeats spreads over {lower:.4g} to {upper:.4g}"
    return ""
