"""Packet-size mixes: what they are made of, the same sizes for every variant, and a mix is the sum of its parts."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.config import load_scenario
from sim.config.scenario.traffic import GENOME, Mix, read_mix
from sim.datapath import build_plan
from sim.datapath.traffic import SizeClasses, size_classes

SEED = "virtio-user-xdp1-tap"


def point(*overrides: str):
    settings = ["access=copy_user", "run.precision=0", "run.packets=65536", *overrides]
    return sim.run(load_scenario(SEED, overrides=settings)).points[0]


@pytest.mark.parametrize(
    ("name", "middle"), [("imix", 594), ("trex-hltapi", 570), ("60,7 590,4 1514,1", 594), ("60,14 1514,2 590,8", 594)]
)
def test_a_mix_is_seven_four_one_of_frames_with_fcs(name, middle):
    mix = load_scenario(SEED, overrides=[f"traffic.mix={name}"]).traffic.mix
    assert mix.bytes == [64 - 4, middle - 4, 1518 - 4]
    assert mix.shares == [7 / 12, 4 / 12, 1 / 12]
    assert mix.mean_bytes == round((7 * 64 + 4 * middle + 1518) / 12 - 4)


def test_letters_of_rfc_6985_are_a_packet_each():
    assert read_mix("rfc6985:aaaaaaaddddg", None) == {"bytes": [60, 508, 1514], "weights": [7, 4, 1]}
    assert [size + 4 for size in read_mix("rfc6985:abcdefghij", None)["bytes"]] == list(GENOME.values())


def test_a_mix_of_one_size_is_that_size():
    alone, mixed = point("traffic.packet_bytes=512"), point("traffic.mix={bytes: [512], weights: [3]}")
    assert mixed.elapsed_ps == alone.elapsed_ps
    assert mixed.breakdown_ps == alone.breakdown_ps
    assert mixed.instructions_per_packet == pytest.approx(alone.instructions_per_packet)


@pytest.mark.parametrize("kernel", ["v5.0", "v7.3"])
def test_time_and_cycles_of_a_mix_are_those_of_its_sizes_by_their_shares(kernel):
    # 64 and 128 bytes: the same page fragments per lap but for a few, and no other difference than their copies.
    sizes, weights = (64, 128), (3, 1)
    each = [point(f"kernel={kernel}", f"traffic.packet_bytes={size}") for size in sizes]
    mixed = point(f"kernel={kernel}", f"traffic.mix={{bytes: {list(sizes)}, weights: {list(weights)}}}")
    copies = [one.breakdown_cycles["copy_bytes"] + one.breakdown_cycles.get("clean_line", 0) for one in each]
    expected = sum(value * weight for value, weight in zip(copies, weights, strict=True)) / sum(weights)
    # 65 536 packets or more: a share of 1/4 is good to sqrt(3/16 / 65 536) = 0.17 %, five of those.
    found = mixed.breakdown_cycles["copy_bytes"] + mixed.breakdown_cycles.get("clean_line", 0)
    assert found == pytest.approx(expected, rel=5 * (3 / 16 / 65536) ** 0.5 / 0.25)
    assert sum(mixed.breakdown_ps.values()) == mixed.elapsed_ps


def test_every_variant_and_every_run_length_meets_the_same_sizes():
    scenario = load_scenario(SEED, overrides=["traffic.mix=imix"])
    first, second = (build_plan(scenario, access, 362).classes for access in ("copy_user", "vmap"))
    assert first == second
    other = size_classes(scenario.traffic.mix, scenario.run.seed + 1)
    assert [first.of(packet) for packet in range(100)] != [other.of(packet) for packet in range(100)]


def test_sizes_come_by_their_shares_and_do_not_repeat():
    """Each count of n draws within 5 standard deviations; draws a distance apart agree as often as independent ones."""
    packets, shares = 100_000, [7 / 12, 4 / 12, 1 / 12]
    classes = SizeClasses((64, 570, 1518), tuple(shares), start=3)
    drawn = np.array([classes.of(packet) for packet in range(packets)])
    for kind, share in enumerate(shares):
        assert np.mean(drawn == kind) == pytest.approx(share, abs=5 * (share * (1 - share) / packets) ** 0.5)
    alike = sum(share**2 for share in shares)
    for distance in (1, 2, 4096, 1 << 16):
        agree = drawn[distance:] == drawn[:-distance]
        assert np.mean(agree) == pytest.approx(alike, abs=5 * (alike * (1 - alike) / len(agree)) ** 0.5)


def test_a_size_with_all_or_nothing_of_the_packets():
    assert {SizeClasses((64,), (1.0,), 1).of(packet) for packet in range(50)} == {0}
    assert {SizeClasses((64, 1518), (1.0, 0.0), 1).of(packet) for packet in range(50)} == {0}
    assert {SizeClasses((64, 1518), (0.0, 1.0), 1).of(packet) for packet in range(50)} == {1}


def test_a_csv_file_is_counted(tmp_path):
    (tmp_path / "seen.csv").write_text("bytes,weight\n64,2\n1518,1\n64,3\n")
    assert read_mix("seen.csv", tmp_path) == {"bytes": [64, 1518], "weights": [5.0, 1.0]}
    (tmp_path / "packets.csv").write_text("time,bytes\n1,64\n2,64\n3,700\n")
    assert read_mix("packets.csv", tmp_path) == {"bytes": [64, 700], "weights": [2.0, 1.0]}


@pytest.mark.parametrize("head", ["bytes,count", "Bytes,Weight", " bytes , weight ", "\ufeffbytes,weight"])
def test_a_column_of_weights_is_known_however_it_is_written(tmp_path, head):
    (tmp_path / "seen.csv").write_text(f"{head}\n64,2\n1518,1\n", encoding="utf-8")
    assert read_mix("seen.csv", tmp_path) == {"bytes": [64, 1518], "weights": [2.0, 1.0]}


@pytest.mark.parametrize(
    ("mix", "sentence"),
    [
        ("imx", "no CSV file and no mix is 'imx'; did you mean 'imix'?"),
        ("rfc6985:abz", "'abz' is no sequence of letters of RFC 6985 (a 64, b 128"),
        ("60,7 590", "'590' is no size and weight as 60,7"),
        ("60,7 60,4", "'60,4' is no size and weight as 60,7, each size once"),
        ("nowhere.csv", "nowhere.csv: cannot be read: No such file"),
        ("{bytes: [64, 65], weights: [1]}", "2 sizes, but 1 weights"),
        ("{bytes: [64, 64], weights: [1, 1]}", "a size is given twice"),
        ("{bytes: [64], weights: [0]}", "traffic.mix.weights"),
        ("{bytes: [5], weights: [1]}", "traffic.mix.bytes"),
        ("{bytes: [64], weights: [1], size: 3}", "unknown key 'traffic.mix.size'"),
    ],
)
def test_a_bad_mix_is_one_line(mix, sentence):
    with pytest.raises(sim.ConfigError) as error:
        load_scenario(SEED, overrides=[f"traffic.mix={mix}"])
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("size\n64\n", "its first line names no column 'bytes'"),
        ("bytes\n64\nmany\n", "line 3: not a size and a weight"),
        ("bytes\n", "has no rows"),
        ("bytes,packets\n64,7\n", "unknown column 'packets' (known: bytes, weight, count, time)"),
        ("bytes,\n64,7\n", "unknown column ''"),
        ("bytes,weight,weight\n64,7,7\n", "a column is there twice"),
        ("bytes,weight,count\n64,7,7\n", "columns weight and count both say how often"),
        ("bytes,weight\n64,7\n1518,\n", "line 3: not a size and a weight"),
        ("bytes,weight\n64\n", "line 2: not a size and a weight"),
        ("bytes,weight\n64,7,1\n", "line 2: more cells than columns"),
        ("", "no column 'bytes'"),
    ],
)
def test_a_bad_csv_file_is_one_line(tmp_path, text, sentence):
    file = tmp_path / "sizes.csv"
    file.write_text(text)
    with pytest.raises(sim.ConfigError) as error:
        read_mix(str(file), None)
    assert sentence in str(error.value)


def test_a_mix_with_a_packet_too_large_for_the_path_is_refused():
    scenario = load_scenario(SEED, overrides=["traffic.mix={bytes: [64, 9000], weights: [1, 1]}"])
    with pytest.raises(
        sim.ConfigError, match=r"all sizes of a mix have to fit an XDP buffer \(at most 3380 bytes on v5.0\)"
    ):
        sim.run(scenario)


def test_shares_add_up():
    assert sum(Mix(bytes=[64, 65, 66], weights=[0.1, 0.2, 0.3]).shares) == pytest.approx(1)
