"""The six questions of a design review, each answered in a sentence or two from a review's own numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.study.published import Published
from sim.study.uncertainty import Interval, measured_together

if TYPE_CHECKING:
    from sim.study.compare import Difference
    from sim.study.review import Review
    from sim.study.sensitivity import Sensitivities

#: Parts of a difference that are named; the others are added up.
_NAMED = 4


def answers(review: Review) -> dict[str, str]:
    """Answer, by question: what gains (or carries), how much, how sure, why, what would change it, what to measure."""
    found = {
        "What": _what(review),
        "How much": _how_much(review),
        "How sure": _how_sure(review),
        "Why": _why(review),
        "What would change it": _change(review.tornado),
        "What to measure next": _next(review.tornado),
    }
    return {question: answer for question, answer in found.items() if answer}


def _what(review: Review) -> str:
    others = [variant.name for variant in review.scenario.access[2:]]
    if not review.comparisons:
        return f"the rate of {_described(review, review.scenario.access[0].name)}"
    pair = review.comparisons[0]
    beside = f". Beside them: {', '.join(others)}" if others else ""
    return f"{_described(review, pair.after)}, against {_described(review, pair.before)}{beside}"


def _described(review: Review, access: str) -> str:
    title = review.scenario.variant(access).title
    return f"{access} ({title})" if title else access


def _how_much(review: Review) -> str:
    rates = {(rate.access, rate.packet_bytes): rate.pps for rate in review.sure.rates}
    size = review.first_size
    if not review.sure.gains:
        return f"{_mpps(rates[review.scenario.access[0].name, size])} Mpps at {size} B"
    gains = [one for one in review.sure.gains if one.after == review.sure.gains[0].after]
    first, last = gains[0], gains[-1]
    saved, gain = first.saved_ns, first.gain_percent
    said = (
        f"{_mpps(rates[first.before, size])} to {_mpps(rates[first.after, size])} Mpps at {size} B: "
        f"{gain.value:+.1f} % [{gain.low:+.1f}, {gain.high:+.1f}], "
        f"{saved.value:+.1f} ns [{saved.low:+.1f}, {saved.high:+.1f}] saved per packet"
    )
    if last is first:
        return said
    far = last.gain_percent
    return f"{said}; {far.value:+.1f} % [{far.low:+.1f}, {far.high:+.1f}] at {last.packet_bytes} B"


def _mpps(one: Interval) -> str:
    return f"{one.value / 1e6:.2f} [{one.low / 1e6:.2f}, {one.high / 1e6:.2f}]"


def _how_sure(review: Review) -> str:
    said = []
    if review.sure.gains:
        said.append(review.sure.gains[0].sentence(review.sure.draws))
    used = [one for one in review.published if one.used]
    unused = [one for one in review.published if not one.used]
    if used:
        named = " and ".join(f"{one.name} ({one.access}, {one.measured_pps / 1e6:.2f} Mpps)" for one in used)
        said.append(
            f"these rates are met and not predicted: calibration {review.scenario.calibration} was fitted to {named}"
        )
    said += [_predicted(one) for one in unused]
    if not review.published:
        said.append("nothing was published for exactly this configuration")
    grades = Counter(one.quantity.grade for one in review.sources)
    listed = ", ".join(f"{number} {grade}" for grade, number in grades.most_common())
    said.append(f"{len(review.sources)} table entries are behind it, each with a range: {listed}")
    return ". ".join(one[:1].upper() + one[1:] for one in said)


def _predicted(one: Published) -> str:
    return (
        f"for {one.access} {one.measured_pps / 1e6:.2f} Mpps were published ({one.name}), "
        f"{one.predicted_pps / 1e6:.2f} are predicted ({one.error:+.1%}), not used by the calibration"
    )


def _why(review: Review) -> str:
    if not review.comparisons:
        point = review.result.points[0]
        parts = _merged({name: cycles / point.cycles_per_packet for name, cycles in point.breakdown_cycles.items()})
        return "of its cycles: " + ", ".join(f"{name} {share:.0%}" for name, share in list(parts.items())[:_NAMED])
    difference = review.comparisons[0].differences[0]
    if abs(difference.saved_ns) < 0.05:
        return "nothing that it executes less or more shows in the rate"
    return _made_up_of(difference)


def _made_up_of(difference: Difference) -> str:
    parts = _merged(difference.made_up_of)
    named = list(parts.items())[:_NAMED]
    rest = sum(parts.values()) - sum(value for _, value in named)
    said = [f"{name} {value:+.1f} ns ({value / difference.saved_ns:.0%})" for name, value in named]
    if abs(rest) >= 0.05:
        said.append(f"everything else {rest:+.1f} ns")
    return f"of the {difference.saved_ns:+.1f} ns: {', '.join(said)}"


def _merged(parts: Mapping[str, float]) -> dict[str, float]:
    """Add up what one source gives together (stac and clac); what is largest stands first."""
    found: dict[str, float] = {}
    for name, value in parts.items():
        together = measured_together(f"cpu.primitives.{name}").removeprefix("cpu.primitives.")
        found[together] = found.get(together, 0.0) + value
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def _change(found: Sensitivities) -> str:
    if not found.indices:
        return ""
    factor, unit = (1e-6, "Mpps") if found.output == "pps" else (1.0, "%")
    most = found.indices[0]
    if most.values["swing"] == 0:
        return "no input that it depends on moves it, at either end of its range"
    low, high = (most.values[end] * factor for end in ("low", "high"))
    said = f"most of all {most.key}: {low:.1f} {unit} at one end of its range, {high:.1f} {unit} at the other"
    if found.output == "pps":
        return said
    turned = [one.key for one in found.indices if min(one.values["low"], one.values["high"]) * found.nominal < 0]
    if found.nominal < 0:
        turned = [one.key for one in found.indices if max(one.values["low"], one.values["high"]) > 0]
    if turned:
        return f"{said}. Alone at an end of its range each of these turns the sign: {', '.join(turned)}"
    return f"{said}. No input alone, at either end of its range, turns the sign"


def _next(found: Sensitivities) -> str:
    said = [one for one in found.findings if one.startswith("measure this next: ")]
    return said[-1].removeprefix("measure this next: ") if said else ""
