"""What the emulated machine counts is what the kernels' tables cite."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sim.count.count import read_recording
from tests.count.cited import ALLOCATORS, BUILDS, Cited, cited, main, same_trace
from tests.facts.traces import FOLDER, MODELS

RECORDING = FOLDER.parent / "counts" / "v6.1.192.json"
#: The first number of a configuration is the same to the digit in so many.
EXACT = 0.95


@pytest.fixture(scope="module")
def numbers():
    return [*cited("6.1.192", read_recording(RECORDING))]


def test_windows_and_fences_are_those_that_are_cited(numbers):
    windows = [number for number in numbers if number.quantity != "instructions"]
    assert len(windows) == 2 * 19
    assert all(number.exact for number in windows)


def test_instructions_are_those_that_are_cited_but_for_the_allocators(numbers):
    instructions = [number for number in numbers if number.quantity == "instructions"]
    assert all(number.agrees for number in instructions)
    assert [number.name for number in instructions if not number.exact] == [
        "tx_xdp_ev0_d2_b128_s1500",
        "txx_xdppass_b32_s64",
        "txx_xdppass_b32_s1500",
    ]


def test_a_number_that_differs_is_found():
    assert not Cited("tx", "stac", 12, 12.01, exact=False).agrees
    assert Cited("tx", "instructions", 1000, 1000 * (1 + ALLOCATORS / 2), exact=False).agrees
    assert not Cited("tx", "instructions", 1000, 1000 * (1 + 2 * ALLOCATORS), exact=False).agrees


def test_the_comparison_says_what_differs(tmp_path, capsys):
    recorded = read_recording(RECORDING)
    first, *_ = recorded.configurations
    (tmp_path / "6.1.192.json").write_text(replace(recorded, configurations=(first,)).to_json())
    kept = FOLDER / "v6.1.192.tx_xdp_ev0_d1_b1_s64.csv"
    (tmp_path / "6.1.192" / "traces").mkdir(parents=True)
    again = tmp_path / "6.1.192" / "traces" / "tx_xdp_ev0_d1_b1_s64.csv"
    again.write_text(kept.read_text().replace("vhost_notify\n", "vhost_notify.constprop.0\n"))
    assert main(tmp_path)
    assert "6.1.192: 3 of 3 cited numbers to the digit\n" in capsys.readouterr().out
    again.write_text(kept.read_text().replace("1728,stac", "1729,stac"))
    assert not main(tmp_path)
    assert "trace v6.1.192.tx_xdp_ev0_d1_b1_s64.csv: DIFFERS" in capsys.readouterr().out


def test_another_build_of_a_version_is_said_and_not_taken_for_it(tmp_path, capsys):
    recorded = read_recording(RECORDING)
    assert recorded.release == BUILDS["6.1.192"]
    other = replace(recorded, kernel=recorded.kernel.replace("6.1.0-56-amd64", "6.1.0-55-amd64"), configurations=())
    (tmp_path / "6.1.192.json").write_text(other.to_json())
    assert not main(tmp_path)
    assert capsys.readouterr().out.startswith("6.1.192: counted of 6.1.0-55-amd64, cited of 6.1.0-56-amd64\n")


def test_a_kernel_without_cited_numbers_is_compared_by_its_traces(tmp_path, capsys):
    recorded = read_recording(RECORDING)
    (tmp_path / "6.18.15.json").write_text(replace(recorded, configurations=()).to_json())
    (tmp_path / "6.18.15" / "traces").mkdir(parents=True)
    for trace in FOLDER.glob("v6.18.15.*.csv"):
        (tmp_path / "6.18.15" / "traces" / trace.name.removeprefix("v6.18.15.")).write_text(trace.read_text())
    assert main(tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("6.18.15: no numbers of it are cited")
    assert said.count(": the same\n") == len([*FOLDER.glob("v6.18.15.*.csv")]) > 0


def test_every_kernel_that_was_counted_and_has_a_package_is_counted_again():
    makefile = (FOLDER.parents[2] / "Makefile").read_text()
    (kernels,) = re.findall(r"^KERNELS \?= (.*)$", makefile, re.MULTILINE)
    built = {"v5.0", "v5.0-zcopytx", "v5.2.1", "v5.2.1-direct-map"}
    assert {f"v{version}" for version in kernels.split()} == {*MODELS} - built


def test_a_trace_is_the_same_by_the_names_of_the_source():
    assert same_trace("1,stac,,,,a<b.constprop.0\n", "1,stac,,,,a<b\n")
    assert not same_trace("1,stac,,,,a<b\n", "1,stac,,,,a<c\n")
