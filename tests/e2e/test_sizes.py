"""Sizes have no FCS unless the command is told that they do, as those of RFC 2544 do."""

from __future__ import annotations

import json

import pytest

SEED = "virtio-user-xdp1-tap"
SHORT = ("--access", "vmap", "--set", "run.packets=500")


@pytest.mark.parametrize("command", ["run", "capacity"])
def test_rfc_2544_is_one_switch_away(vhost_sim, command):
    few = ("--resolution", "0.2") if command == "capacity" else ()
    done = vhost_sim(command, SEED, "--sizes", "64,1518", "--fcs", "--json", *few, *SHORT)
    assert done.returncode == 0, done.stderr
    assert [result["packet_bytes"] for result in json.loads(done.stdout)["results"]] == [60, 1514]


def test_64_bytes_with_fcs_fill_10_gbe_at_14_88_mpps(vhost_sim):
    done = vhost_sim("run", SEED, "--sizes", "64", "--fcs", *SHORT)
    assert f"{10e9 / 8 / (64 + 20) / 1e6:.3f}" in done.stdout.split("limits in Mpps")[1]


def test_one_size_takes_the_switch_too(vhost_sim):
    done = vhost_sim("explain", SEED, "--sizes", "64", "--fcs", "--json", *SHORT)
    assert json.loads(done.stdout)["packet_bytes"] == 60


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--fcs",), "--fcs: goes with sizes that are asked for (--sizes)"),
        (("--fcs", "--sizes", "many"), "--sizes many: "),
        (("--fcs", "--sizes", "17"), "--sizes 17: "),
    ],
)
def test_bad_sizes_are_named_as_they_were_given(vhost_sim, arguments, sentence):
    done = vhost_sim("run", SEED, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sentence in done.stderr


def test_a_command_without_sizes_has_no_such_switch(vhost_sim):
    assert vhost_sim("list", "cpus", "--fcs").returncode == 2
