"""A key that a user sets and that no Plan of the question reads is refused; one from a shipped file may be idle."""

from __future__ import annotations

import itertools

import pytest
import yaml

import sim
from sim.config import ConfigError, dump_scenario
from sim.config.loading.load import Scenarios
from sim.config.loading.paths import names
from sim.costs.audit import fields
from sim.datapath import build_plan
from sim.study.questions.capacity import offered
from sim.study.runs import asked, structures
from sim.study.runs.asked import Ways, every_point, first_point, load_scenario, load_sides, scenarios_of, unread
from sim.study.runs.structures import ledger_of
from sim.study.sensitivity.study import load_sensitivity
from sim.study.sweep.run import load_sweep

SEED, LINUX = "virtio-user-xdp1-tap", "virtio-net-xdp1-tap"
SHORT = ["access=copy_user", "traffic.packet_bytes=64"]


@pytest.mark.parametrize(
    ("name", "text", "needs"),
    [
        (LINUX, "driver.packet_cost=30", "driver.kind=virtio-user or driver.kind=lockstep"),
        (SEED, "driver.stack_cost=300", "driver.kind=virtio-net"),
        pytest.param(SEED, "driver.napi_tx=true", "driver.kind=virtio-net", marks=pytest.mark.deep),
        pytest.param(
            *(SEED, "receive.buffer_bytes=4096", "device.direction=rx or driver.forwards=true"), marks=pytest.mark.deep
        ),
        (SEED, "backend.stack_cost=30", "backend.kind=tap-xdp-pass or backend.kind=tap-skb"),
        pytest.param(SEED, "queues.workers=each", "queues.pairs=2", marks=pytest.mark.deep),
        pytest.param(SEED, "virtqueue.iotlb_miss_cost=30", "what virtio-user-iotlb has", marks=pytest.mark.deep),
        ("tap-write", "virtqueue.size=512", "device.kind=vhost_net"),
        (
            *("four-queues-one-worker", "traffic.sessions=5"),
            "what tcp-request-response has or what tcp-stream-messages has or what tcp-stream-to-guest has",
        ),
        (
            *("virtio-user-receive-skb", "backend.rx_frames=4"),
            "what tcp-stream-messages has or what virtio-user-rx-frames has or what virtio-user-sndbuf-limited has",
        ),
    ],
)
def test_a_key_that_nothing_reads_is_refused_with_what_it_would_need(name, text, needs):
    with pytest.raises(ConfigError) as refused:
        load_scenario(name, overrides=[*SHORT, text])
    assert str(refused.value) == f"{text}: is not read in this scenario; it would need {needs}"


class Thorough(Ways):
    """Tries another value of every key, read or not."""

    def _is_read(self, other):
        return True


@pytest.mark.deep
@pytest.mark.parametrize("name", sorted(names("scenario"))[::9])
def test_another_value_of_a_key_that_is_not_read_is_no_way(name):
    scenarios = scenarios_of(name)
    scenario = scenarios.load({})
    ways, thorough = (kind(scenarios, scenario, {}, ()) for kind in (Ways, Thorough))
    idle = unread([key for key, _, _ in fields(scenario)], first_point(scenario))
    assert len(idle) > 50
    assert [ways.of(key) for key in idle] == [thorough.of(key) for key in idle]


def test_a_refusal_looks_at_no_value_of_another_key_that_is_not_read():
    scenarios = scenarios_of(SEED)
    scenario = scenarios.load({})
    read = asked._reading(scenario, build_plan(*first_point(scenario)[0]).ledger)
    looks, ways = [], []
    for kind in (Ways, Thorough):
        number = itertools.count()
        ways.append(
            kind(scenarios, scenario, {}, ()).of("virtqueue.iotlb_miss_cost", lambda number=number: next(number))
        )
        looks.append(next(number))
    in_vain = sum(not read(other) for other, _ in asked._changes(scenario))
    assert ways[0] == ways[1] != []
    assert looks[1] - looks[0] == in_vain - 1  # one look at the scenario as it is


def test_sizes_beside_a_mix_are_refused():
    with pytest.raises(
        ConfigError, match=r"packet_bytes=64: is not read in this scenario; it would need traffic.mix=n"
    ):
        load_scenario(SEED, overrides=["traffic.packet_bytes=64", "traffic.mix=imix"])


def test_a_setting_of_the_library_is_refused_by_its_key_and_a_table_names_the_key_in_it():
    with pytest.raises(ConfigError, match=r"^driver.napi_tx: is not read in this scenario; "):
        load_scenario(SEED, settings={"driver.napi_tx": True})
    with pytest.raises(ConfigError, match=r"^driver={napi_tx: true}: driver.napi_tx is not read in this scenario; "):
        load_scenario(SEED, overrides=["driver={napi_tx: true}"])


def test_a_file_of_the_users_own_may_set_no_idle_key_and_may_inherit_one(tmp_path):
    file = tmp_path / "mine.yaml"
    mine = {"schema": 1, "kind": "scenario", "name": "mine", "extends": LINUX}
    file.write_text(yaml.safe_dump(mine | {"virtqueue": {"size": 512}}), encoding="utf-8")
    assert load_scenario(file).virtqueue.size == 512
    file.write_text(yaml.safe_dump(mine | {"receive": {"mergeable": False}}), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_scenario(file)
    assert str(refused.value).startswith(f"{file}: receive.mergeable: is not read in this scenario; ")


def test_the_record_of_a_run_states_every_key_and_loads(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(dump_scenario(load_scenario(SEED, overrides=SHORT)), encoding="utf-8")
    assert load_scenario(file) == load_scenario(SEED, overrides=SHORT)
    with pytest.raises(ConfigError, match=r"napi_tx=true: is not read"):
        load_scenario(file, overrides=["driver.napi_tx=true"])


def test_a_key_that_any_point_of_the_question_reads_is_taken():
    limit = ["memory.locked_limit_kib=0"]
    assert load_scenario(SEED, overrides=limit).memory.locked_limit_kib == 0  # vmap pins
    with pytest.raises(ConfigError, match="it would need access=vmap"):
        load_scenario(SEED, overrides=limit, asks=first_point)
    backlog = ["traffic.load.backlog=64"]
    assert load_scenario(SEED, overrides=[*SHORT, *backlog], asks=offered).traffic.load.backlog == 64
    with pytest.raises(ConfigError, match="is not read"):
        load_scenario(SEED, overrides=[*SHORT, *backlog])


def test_what_is_compared_may_set_a_key_for_one_side_and_says_so():
    both = [(Scenarios(SEED), {}), (Scenarios("vhost-user-tx"), {})]
    loaded, remarks = load_sides(both, ["backend.program_instructions=60"])
    assert [scenario.backend.program_instructions.value for scenario in loaded] == [60, 60]
    assert remarks == ["backend.program_instructions is not read in vhost-user-tx, only in what it is compared with"]
    with pytest.raises(ConfigError, match="is not read"):
        load_sides(both, ["receive.mergeable=false"])


SWEEP = {"schema": 1, "kind": "sweep", "name": "mine", "scenario": SEED}
STUDY = {"schema": 1, "kind": "sensitivity", "name": "mine", "scenario": SEED, "access": ["copy_user", "vmap"]}


def test_a_study_of_the_users_own_varies_no_idle_key(tmp_path):
    file = tmp_path / "mine.yaml"

    def written(table):
        file.write_text(yaml.safe_dump(table), encoding="utf-8")
        return str(file)

    stack = {"driver.stack_cost": {"values": [100, 300]}}
    with pytest.raises(ConfigError) as refused:
        load_sweep(written({**SWEEP, "set": {"access": "vmap"}, "axes": stack}))
    assert str(refused.value) == f"{file}: driver.stack_cost: is not read in any point of this study"
    both = {"driver.kind": {"values": ["virtio-user", "virtio-net"]}, **stack}
    assert load_sweep(written({**SWEEP, "axes": both})).axes.keys() == both.keys()
    with pytest.raises(ConfigError, match=r"driver.stack_cost: is not read in any point of this study"):
        load_sensitivity(written({**STUDY, "inputs": {"cpu.core_ghz": None, "driver.stack_cost": None}}))
    load_sensitivity(written({**STUDY, "inputs": {"cpu.core_ghz": None}}))


def test_break_even_is_not_searched_in_a_key_that_nothing_reads():
    from sim.study.sensitivity.breakeven import Target, breakeven

    def varied(value):
        return Scenarios(SEED).load({"driver.stack_cost": value})

    with pytest.raises(ConfigError, match=r"vary: is not read in this scenario \(got driver.stack_cost\)"):
        breakeven(varied, load_scenario(SEED), "driver.stack_cost", Target.parse("gain>=20%"))


def test_the_ledger_holds_no_key_that_a_scenario_does_not_have_and_every_entry_that_was_priced():
    scenario = sim.load_scenario(LINUX)
    plan = build_plan(scenario, "copy_user", 64)
    keys = plan.ledger.keys_read()
    assert keys <= {key for key, _, _ in fields(scenario)}
    assert plan.inputs.keys() <= keys
    assert {"driver.kind", "virtqueue.size", "cpu.core_ghz"} <= keys
    assert not {"driver.packet_cost", "receive.mergeable", "run.packets"} & keys


@pytest.mark.parametrize("name", sorted(names("scenario")))
def test_what_names_a_shipped_scenario_is_read(name):
    scenario = Scenarios(name).load({})
    assert unread(["driver.kind", "device.kind", "device.direction", "cpu.cpi"], every_point(scenario)[:2]) in (
        [],
        ["driver.kind"] if scenario.device.kind == "tap_write" else [],
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == SEED else pytest.mark.deep) for name in sorted(names("scenario"))]
)
def test_sizes_that_go_one_way_have_read_the_same(name):
    sizes = [64, 60, 300, 1500, 2100, 9000]
    scenario = Scenarios(name).load({"traffic.packet_bytes": sizes})
    for variant in scenario.access[:2]:
        plain = {size: _read_by_plan(scenario, variant.name, size) for size in sizes}
        for size in filter(plain.get, (64, 1500, 9000)):
            ledger, is_alike = ledger_of(scenario, variant.name, size)
            alike = [plain[other] for other in sizes if is_alike(other)]
            assert alike
            assert all(read == ledger.keys_read() for read in alike)


def _read_by_plan(scenario, access, size):
    """The keys that a Plan of one size reads; None where there is none."""
    try:
        return build_plan(scenario, access, size).ledger.keys_read()
    except ConfigError:
        return None


def test_a_key_that_nothing_reads_is_looked_for_once_for_sizes_that_go_one_way(monkeypatch):
    built = []

    def noted(scenario, access, *arguments, **options):
        built.append(access)
        return build_plan(scenario, access, *arguments, **options)

    for module in (asked, structures):
        monkeypatch.setattr(module, "build_plan", noted)
    scenario = Scenarios(SEED).load({})
    assert len(every_point(scenario)) == 18
    assert unread(["cpu.cpi", "driver.stack_cost"], every_point(scenario)) == ["driver.stack_cost"]
    first, *others = [variant.name for variant in scenario.access]
    assert built == [first, first, *others]


def test_a_key_of_a_file_may_be_made_idle_by_what_is_set_over_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "schema: 1\nkind: scenario\nextends: virtio-user-xdp1-tap\nname: mine\ntitle: mine\n"
        "queues: {pairs: 2, workers: shared}\n"
    )
    assert sim.load_scenario(file, overrides=["queues.pairs=1"]).queues.workers == "shared"
    file.write_text(file.read_text().replace("pairs: 2", "pairs: 1"))
    with pytest.raises(sim.ConfigError, match=r"queues\.workers: is not read in this scenario"):
        sim.load_scenario(file, overrides=["traffic.packet_bytes=64"])
