"""All variants that apply, ranked: rates of runs of their own, what each needs, the better one named."""

from __future__ import annotations

import pytest

import sim
from sim.config.loading.load import load_of
from sim.config.tables.access import Access
from sim.datapath import build_plan
from sim.study.review.ranking import NOT_EXECUTED, needs, ranking
from sim.study.runs.case import sides_of
from sim.study.uncertainty.uncertainty import uncertainty

SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64", "access=copy_user,vmap"]


def ranked(name, *overrides, draws=0, **options):
    scenario = sim.load_scenario(name, overrides=[*SHORT, *overrides])
    sure = uncertainty(sides_of(scenario), draws, 1) if draws else None
    return scenario, ranking(scenario, "copy_user", "vmap", sure=sure, **options)


@pytest.fixture(scope="module")
def sapphire():
    return ranked("virtio-user-xdp1-tap", "cpu=sapphire-rapids", "kernel=v6.12")


def test_the_largest_gain_stands_first_and_each_is_that_of_a_run(sapphire):
    scenario, ranks = sapphire
    gains = [row.gain_percent for row in ranks.rows]
    assert gains == sorted(gains, reverse=True)
    pair = scenario.model_copy(update={"access": [scenario.access[0], load_of(Access, "uaccess_batched")]})
    assert ranks.at("uaccess_batched").gain_percent == sim.compare(pair).differences[0].gain_percent
    assert [row.access for row in ranks.rows if row.asked] == ["vmap"]


def test_the_better_variant_is_named_and_is_no_bound_and_keeps_smap(sapphire):
    _, ranks = sapphire
    assert ranks.better.access == "uaccess_batched"
    larger = [row for row in ranks.rows if row.gain_percent > ranks.better.gain_percent]
    assert {row.access for row in larger} == {"ideal", "smap_off_worker"}
    assert all(row.role == "bound" or not row.guarded for row in larger)
    assert ranks.sentence().startswith("uaccess_batched gains more over copy_user than vmap: ")
    said = " at 64 B, and pins nothing; nobody has executed it: its accessors are by analogy"
    assert ranks.sentence().endswith(said)


def test_where_the_asked_variant_is_the_best_none_is_named():
    _, ranks = ranked("virtio-user-xdp1-tap")
    assert ranks.better is None
    number = sum(row.role == "variant" for row in ranks.rows)
    assert ranks.sentence() == (
        f"Of the {number} variants that apply, none that keeps SMAP on packet bytes gains more than vmap"
    )


def test_accesses_of_programs_in_user_space_do_not_compete(sapphire):
    names = {row.access for row in sapphire[1].rows}
    assert not names & {"plain", "ring_fenced", "ring_plain"}
    assert ranking(sim.load_scenario("user-ring"), "ring_fenced", "ring_plain") is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("copy_user", ()),
        ("vmap", ("a kernel change", "pinned pages", "no device IOTLB")),
        ("vmap_notifier", ("a kernel change", "MMU notifiers", "no device IOTLB")),
        ("uaccess_batched", ("a kernel change",)),
        ("smap_off_worker", ("a kernel change", "packet bytes without SMAP")),
    ],
)
def test_what_a_variant_needs_is_read_from_its_table(name, wanted):
    assert needs(load_of(Access, name)) == wanted


def test_every_variant_but_the_kernels_own_has_an_objection(sapphire):
    assert {row.access for row in sapphire[1].rows if not row.objections} == {"copy_user"}


def test_what_nobody_has_executed_is_held_against_it(sapphire):
    untried = {row.access for row in sapphire[1].rows if NOT_EXECUTED in row.objections}
    assert {"uaccess_batched", "vmap_index_nospec"} <= untried
    assert not untried & {"copy_user", "vmap", "vmap_notifier", "direct_map_rcu", "ideal"}


def test_behind_an_iotlb_no_mapping_gains():
    _, ranks = ranked("virtio-user-iotlb", "run.packets=6000")
    mapped = [row for row in ranks.rows if "no device IOTLB" in row.needs]
    assert len(mapped) > 5
    assert {row.gain_percent for row in mapped} == {0.0}
    assert ranks.better.access == "uaccess_batched"


def test_every_variant_rests_on_the_draws_of_the_answer():
    scenario, ranks = ranked("virtio-user-xdp1-tap", "cpu=sapphire-rapids", "kernel=v6.12", draws=5)
    (gain,) = uncertainty(sides_of(scenario), 5, 1).gains
    assert ranks.at("vmap").gain == gain
    beside = scenario.model_copy(update={"access": [*scenario.access, load_of(Access, "uaccess_batched")]})
    alone = uncertainty(sides_of(beside), 5, 1)
    assert ranks.at("uaccess_batched").gain == alone.gains[1]
    assert ranks.over_asked == alone.pairs[0]
    said = f"gains more over copy_user than vmap in {ranks.over_asked.same_sign:.0%} of 5 draws: "
    assert said in ranks.sentence()
    assert ranks.notes[0] == "5 draws, the same for every variant"


def test_stresses_are_the_settings_that_they_name():
    _, ranks = ranked("virtio-user-xdp1-tap", stressed=True)
    under = ranks.at("vmap_notifier").stressed
    names = ["copy_user", "vmap_notifier"]
    changed = sim.load_scenario(
        "virtio-user-xdp1-tap",
        overrides=[*SHORT[:-1], f"access={','.join(names)}", "memory.invalidations_per_second=1000"],
    )
    assert under["at 1000 invalidations/s"] == pytest.approx(sim.compare(changed).differences[0].gain_percent)
    assert under["behind a device IOTLB"] == pytest.approx(0.0, abs=0.01)


def test_a_table_that_cannot_be_read_is_left_out_by_name(tmp_path):
    (tmp_path / "access").mkdir()
    (tmp_path / "access" / "broken.yaml").write_text("schema: 1\nkind: access\nname: broken\n")
    _, ranks = ranked("virtio-user-xdp1-tap", configs=tmp_path)
    assert list(ranks.left_out) == ["broken"]
    assert "left out: broken: " in ranks.notes[-1]


def test_a_variant_is_built_once_for_its_tables_as_they_are_and_for_draws(monkeypatch):
    from sim.study.runs import case, structures

    built = []

    def noted(scenario, access, packet_bytes, **options):
        built.append(access)
        return build_plan(scenario, access, packet_bytes, **options)

    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=SHORT)
    sure = uncertainty(sides_of(scenario), 20, 1)
    for module in (case, structures):
        monkeypatch.setattr(module, "build_plan", noted)
    ranks = ranking(scenario, "copy_user", "vmap", sure=sure)
    assert {name: built.count(name) for name in set(built)} == {row.access: 1 for row in ranks.rows}
