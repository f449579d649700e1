"""Every key that a scenario or an access table takes says in one line what it is."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from sim.config.cpu import Cpu
from sim.config.kernel import Behaviour, Kernel
from sim.config.quantity import Flag, Quantity
from sim.config.scenario import Scenario

#: Names of the table itself, and tables that have a file of their own.
PLAIN = {"schema_", "kind", "name", "title", "source"}
TABLES = (Cpu, Kernel, Quantity, Flag)


def models(annotation):
    """Models that an annotation holds, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def keys(model, prefix=""):
    for name, field in model.model_fields.items():
        inner = [one for one in models(field.annotation) if one not in TABLES]
        if not inner:
            yield f"{prefix}{name}", field.description
        for one in inner:
            yield from keys(one, f"{prefix}{name}.")


UNDESCRIBED = {"cpu", "kernel", "calibration"}
DESCRIBED = [
    (key, said)
    for key, said in [*keys(Scenario), *keys(Behaviour, "behaviour.")]
    if key.rpartition(".")[2] not in PLAIN and key not in UNDESCRIBED
]


def test_the_test_goes_through_every_section():
    found = dict(DESCRIBED)
    assert {"virtqueue.iotlb_cache", "receive.source.queue", "memory.invalidation_stall", "queues.pairs"} <= set(found)
    assert {"access.mapping.torn_down", "behaviour.round_bytes"} <= set(found)


@pytest.mark.parametrize(("key", "description"), DESCRIBED, ids=[key for key, _ in DESCRIBED])
def test_a_key_is_described_in_one_line(key, description):
    assert description, key
    assert "\n" not in description
