"""A review: all that a design review asks of one question, and the answers in sentences from its own numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.config.answer import Answer, Record
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.study.evidence.assumptions import Assumption
from sim.study.evidence.conditions import worth_text
from sim.study.evidence.envelope import Published
from sim.study.questions.bounds import guess_first
from sim.study.questions.compare import Comparison, Difference
from sim.study.questions.explain import Explanation
from sim.study.questions.limits import Limit
from sim.study.questions.run import Result
from sim.study.review.preface import Preface
from sim.study.review.ranking import Ranking
from sim.study.sensitivity.tornado import Sensitivities, Switch
from sim.study.uncertainty.intervals import Gain, Interval
from sim.study.uncertainty.parts import DrawnParts
from sim.study.uncertainty.uncertainty import Uncertainty, measured_together

#: From so many percent on, a gain is written without a decimal.
_WHOLE_PERCENT = 10


@dataclass(frozen=True)
class SourcedEntry:
    """One table entry behind the answer, and the cycles per packet that it gives each variant (None: no sum)."""

    key: str
    quantity: Quantity
    cycles: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"key": self.key, **self.quantity.model_dump(), "cycles_per_packet": self.cycles}


@dataclass(frozen=True, repr=False)
class Review(Answer):
    """One question and its whole answer; `comparisons` lay each later variant beside the first.

    Headline, tornado and switches are about `focus`: the second variant, or of many the one that gains most.
    Intervals of `sure` are of all variants at all sizes; everything else is at the first size. `priors` are what the
    table says of the entries that the calibration moved; `parts` what makes up the difference of the
    headline.
    """

    question: str
    focus: str
    result: Result
    comparisons: tuple[Comparison, ...]
    sure: Uncertainty
    limits: tuple[Limit, ...]
    tornado: Sensitivities
    switches: tuple[Switch, ...]
    explanations: tuple[Explanation, ...]
    sources: tuple[SourcedEntry, ...]
    priors: dict[str, Quantity]
    published: tuple[Published, ...]
    assumptions: tuple[Assumption, ...]
    outside: str | None
    preface: Preface
    parts: DrawnParts | None = None

    @property
    def scenario(self) -> Scenario:
        """The scenario that was asked about."""
        return self.result.scenario

    @property
    def first_size(self) -> int:
        """The size that the answer is given for, in bytes."""
        return self.scenario.traffic.sizes[0]

    @property
    def size_text(self) -> str:
        """The first size in words; of a mix its mean."""
        return f"{self.first_size} B" if self.scenario.traffic.mix is None else f"a mix of mean {self.first_size} B"

    def headline(self) -> str:
        """Return the answer in a sentence."""
        return self.sentence()

    def records(self) -> list[Record]:
        """Return every rate with its intervals, and what its variant gains over the first."""
        return self.sure.records()

    def sentence(self) -> str:
        """Give the answer in one sentence with its 90 % interval."""
        where = f"at {self.size_text} on {_title(self.scenario.cpu)}, {_title(self.scenario.kernel)}"
        gain = self.gain
        said = [guess_first(self.preface.bounds)]
        if gain is None:
            rate = self.sure.rates[0]
            low, value, high = rate.pps.low / 1e6, rate.pps.value / 1e6, rate.pps.high / 1e6
            said.append(f"{rate.access} carries {value:.2f} Mpps [{low:.2f}, {high:.2f}] {where}")
        else:
            said.append(f"{gained(gain)} {where}; {gain.sentence(self.sure.draws)}")
        if self.ranking and self.ranking.better:
            said.append(self.ranking.sentence())
        return ". ".join(sentence for sentence in said if sentence)

    @property
    def ranking(self) -> Ranking | None:
        """Every variant that applies, ranked; None where none competes."""
        return self.preface.ranking

    def further_sentences(self) -> list[str]:
        """Say the same, in short, of every other variant, the largest gain first."""
        others = (gain for gain in self.first_gains() if gain.after != self.focus)
        return [f"{gained(gain)}; {gain.sentence(self.sure.draws)}" for gain in others]

    def first_gains(self) -> list[Gain]:
        """Return what each later variant gains over the first, at the first size; the largest gain first."""
        gains = [gain for gain in self.sure.gains if gain.packet_bytes == self.first_size]
        return sorted(gains, key=lambda gain: -gain.gain_percent.value)

    @property
    def gain(self) -> Gain | None:
        """What the headline is about, None for a single variant."""
        return next((gain for gain in self.first_gains() if gain.after == self.focus), None)

    def ordered(self) -> list[Comparison]:
        """Return the comparisons, that of the headline first."""
        return sorted(self.comparisons, key=lambda pair: pair.after != self.focus)

    @property
    def comparison(self) -> Comparison | None:
        """The comparison that the headline is about, None for a single variant."""
        return next((pair for pair in self.comparisons if pair.after == self.focus), None)

    def answers(self) -> dict[str, str]:
        """Answer the questions of a review in a sentence or two each, by question."""
        return answers(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim report`."""
        return {
            **self.preface.to_dict(),
            **self.result.to_dict(),
            "question": self.question,
            "focus": self.focus,
            "answer": self.sentence(),
            "answers": self.answers(),
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "limits": [limit.to_dict() for limit in self.limits],
            "uncertainty": self.sure.to_dict(),
            **({"parts": self.parts.to_dict()} if self.parts else {}),
            "tornado": self.tornado.to_dict(),
            "switches": [switch.to_dict() for switch in self.switches],
            "evidence": self.outside,
            "basis": self.scenario.queues.basis,
            "published": [published.to_dict() for published in self.published],
            "assumptions": [assumption.number for assumption in self.assumptions],
            "inputs": [entry.to_dict() for entry in self.sources],
        }


def _title(table: Any) -> str:
    return str(table.title or table.name)


def gained(gain: Gain) -> str:
    """Say how much is won or lost; the ends of the interval keep their signs when they differ."""
    percent = gain.gain_percent
    digits = 0 if abs(percent.value) >= _WHOLE_PERCENT else 1
    if not gain.resolved:
        return f"{gain.after} does not differ from {gain.before}: {percent.signed('%')}"
    if percent.value < 0:
        ends = f"[{-percent.high:.{digits}f}, {-percent.low:.{digits}f}]"
        return f"{gain.after} loses {-percent.value:.{digits}f} % {ends} against {gain.before}"
    ends = f"[{percent.low:.{digits}f}, {percent.high:.{digits}f}]"
    return f"{gain.after} gains {percent.value:.{digits}f} % {ends} over {gain.before}"


#: Parts of a difference that are named; the others are added up.
_NAMED = 4


def answers(review: Review) -> dict[str, str]:
    """Answer, by question: what gains (or carries), how much, how sure, why, what would change it, what to measure."""
    sentences = {
        "What": _subject(review),
        "How much": _how_much(review),
        "What bounds it": ". ".join(review.preface.bounded),
        "How sure": _how_sure(review),
        "Why": _why(review),
        "What would change it": _change(review),
        "What to measure next": _next(review.tornado),
    }
    return {question: answer for question, answer in sentences.items() if answer}


def _subject(review: Review) -> str:
    pair = review.comparison
    if pair is None:
        return f"the rate of {_described(review, review.scenario.access[0].name)}"
    others = [variant.name for variant in review.scenario.access if variant.name not in (pair.before, pair.after)]
    listed = ", ".join(others) if len(others) <= _NAMED else f"{len(others)} others"
    beside = f". Beside them: {listed}" if others else ""
    return f"{_described(review, pair.after)}, against {_described(review, pair.before)}{beside}"


def _described(review: Review, access: str) -> str:
    title = review.scenario.variant(access).title
    return f"{access} ({title})" if title else access


def _how_much(review: Review) -> str:
    rates = {(rate.access, rate.packet_bytes): rate.pps for rate in review.sure.rates}
    size = review.first_size
    if review.gain is None:
        return f"{_mpps(rates[review.scenario.access[0].name, size])} Mpps at {review.size_text}"
    gains = [gain for gain in review.sure.gains if gain.after == review.focus]
    first, last = gains[0], gains[-1]
    said = (
        f"{_mpps(rates[first.before, size])} to {_mpps(rates[first.after, size])} Mpps at {review.size_text}: "
        f"{first.gain_percent.signed('%')}, {first.saved_ns.signed('ns')} saved per packet of a worker core"
    )
    if last is first:
        return said
    known = any(published.packet_bytes == last.packet_bytes for published in review.published)
    beyond = "" if known else ", a size for which nothing was published"
    return f"{said}; {last.gain_percent.signed('%')} at {last.packet_bytes} B{beyond}"


def _mpps(rate: Interval) -> str:
    return f"{rate.value / 1e6:.2f} [{rate.low / 1e6:.2f}, {rate.high / 1e6:.2f}]"


def _how_sure(review: Review) -> str:
    said = []
    if review.gain is not None:
        drawn = "over the ranges of the tables, the repeats of a rig and how far the model itself was off elsewhere"
        said.append(f"{review.gain.sentence(review.sure.draws)}, {drawn}")
    names = dict.fromkeys((review.scenario.access[0].name, review.focus))
    said += [_evidence(review, name) for name in names]
    silent = dict.fromkeys(name for published in review.published for name in published.not_stated)
    if silent:
        said.append(f"what was published does not state {', '.join(silent)}: they are assumed")
    grades = Counter("fitted" if entry.key in review.priors else entry.quantity.grade for entry in review.sources)
    listed = ", ".join(f"{number} {grade}" for grade, number in grades.most_common())
    said.append(f"{len(review.sources)} table entries are behind it, each with a range: {listed}")
    if review.preface.worth:
        said.append(worth_text(review.preface.worth))
    return ". ".join(sentence[:1].upper() + sentence[1:] for sentence in said)


def _evidence(review: Review, access: str) -> str:
    """Say of one variant whether its rate was fitted, or is a prediction beside a published rate, or beside none."""
    rates = [rate for rate in review.published if (rate.access, rate.packet_bytes) == (access, review.first_size)]
    if not rates:
        return f"the rate of {access} is a prediction, and none was published to lay beside it"
    fitted, others = [rate for rate in rates if rate.used], [rate for rate in rates if not rate.used]
    said = f"the rate of {access} is a prediction"
    if fitted:
        to = " and ".join(_published(rate) for rate in fitted)
        calibration = f"calibration {review.scenario.calibration} was fitted to {to}"
        said = f"the rate of {access} is met and not predicted: {calibration}"
    return ", ".join([said, *(f"{rate.error:+.1%} from {_published(rate)}, not fitted to it" for rate in others)])


def _published(rate: Published) -> str:
    return f"the published {rate.measured_pps / 1e6:.2f} Mpps ({rate.name})"


def _why(review: Review) -> str:
    if review.comparison is None:
        point = review.result.points[0]
        parts = _merged({name: cycles / point.cycles_per_packet for name, cycles in point.breakdown_cycles.items()})
        return "of its cycles: " + ", ".join(f"{name} {share:.0%}" for name, share in list(parts.items())[:_NAMED])
    difference = review.comparison.differences[0]
    if abs(difference.saved_ns) < 0.05 or not (review.gain and review.gain.resolved):
        return "nothing that it executes less or more shows in the rate"
    return _made_up_of(difference)


def _made_up_of(difference: Difference) -> str:
    parts = _merged(difference.made_up_of)
    named = list(parts.items())[:_NAMED]
    rest = sum(parts.values()) - sum(value for _, value in named)
    sign = 1 if difference.saved_ns > 0 else -1
    said = [f"{name} {sign * value:.1f} ({value / difference.saved_ns:.0%})" for name, value in named]
    if abs(rest) >= 0.05:
        said.append(f"everything else {sign * rest:.1f}")
    kind = "saved" if difference.saved_ns > 0 else "lost"
    return f"of the {abs(difference.saved_ns):.1f} ns {kind}: {', '.join(said)}"


def _merged(parts: Mapping[str, float]) -> dict[str, float]:
    """Add up what one source gives together (stac and clac); what is largest stands first."""
    merged: dict[str, float] = {}
    for name, value in parts.items():
        together = measured_together(f"cpu.primitives.{name}").removeprefix("cpu.primitives.")
        merged[together] = merged.get(together, 0.0) + value
    return dict(sorted(merged.items(), key=lambda item: -abs(item[1])))


def _change(review: Review) -> str:
    tornado = review.tornado
    if not tornado.indices:
        return ""
    factor, unit = (1e-6, "Mpps") if tornado.output == "pps" else (1.0, "%")
    most = tornado.indices[0]
    if most.values["swing"] == 0:
        return "no input that it depends on moves it, at either end of its range"
    low, high = (most.values[end] * factor for end in ("low", "high"))
    said = [f"most of all {most.key}: {low:.1f} {unit} at one end of its range, {high:.1f} {unit} at the other"]
    if tornado.output == "gain" and review.gain and review.gain.resolved:
        said.append(_turned(tornado))
    said.append(_switched(review, factor, unit))
    return ". ".join(sentence for sentence in said if sentence)


def _turned(tornado: Sensitivities) -> str:
    sign = -1 if tornado.nominal < 0 else 1
    worst = {index.key: min(sign * index.values["low"], sign * index.values["high"]) for index in tornado.indices}
    turned = [key for key, answer in worst.items() if answer < 0]
    if turned:
        return f"Alone at an end of its range each of these turns the sign: {', '.join(turned)}"
    return "No number alone, at either end of its range, turns the sign"


def _switched(review: Review, factor: float, unit: str) -> str:
    """Name the switches that move the answer, furthest first."""
    nominal = review.tornado.nominal * factor
    moved = [switch for switch in review.switches if abs(switch.answer * factor - nominal) >= 0.05]
    turned = [(switch.answer * factor, switch.key, "off" if switch.is_on else "on") for switch in moved[:_NAMED]]
    listed = ", ".join(f"{answer:.1f} {unit} with {key} {state}" for answer, key, state in turned)
    return f"Switches: {listed}" if listed else ""


def _next(tornado: Sensitivities) -> str:
    said = [finding for finding in tornado.findings if finding.startswith("measure this next: ")]
    return said[-1].removeprefix("measure this next: ") if said else ""
