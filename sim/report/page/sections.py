"""The sections of the page, in the order in which a reviewer asks: each one function of the review."""

from __future__ import annotations

from collections.abc import Callable

from sim.report.page import answer, evidence, numbers
from sim.study.review.review import Review

SECTIONS: tuple[Callable[[Review], str], ...] = (
    answer.answer, numbers.rates, numbers.why, numbers.difference, evidence.changes, numbers.latency,
    evidence.validity, evidence.assumptions, evidence.sources, evidence.words, evidence.scenario,
)  # fmt: skip
