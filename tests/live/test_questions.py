"""From a state to what is run: names, keys without effect, variants of one's own, each error in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.live import controls
from sim.live.answers import Known, OutdatedError
from sim.live.controls import Control, MovableInput, beside, keys_of, moved, nearest, shown
from sim.live.questions import Tables, as_shipped, ask, reason, ways, without_effect
from sim.live.state import State, of_command
from sim.study.runs import asked as searched
from tests.live.test_state import SEED, WINDOW

TABLES = Tables()


def asked(*overrides, key=None):
    return ask(TABLES, of_command(SEED, overrides), key)


def test_a_state_is_run_as_the_command_would_run_it():
    question = asked("cpu=zen4", "mitigations.smap=false")
    assert (question.scenario.cpu.name, question.scenario.mitigations.smap) == ("zen4", False)
    assert (question.state.overrides, question.dropped) == (["cpu=zen4", "mitigations.smap=false"], ())


def test_a_change_that_has_no_effect_any_more_is_taken_back():
    question = asked("backend.line_gbps=40", "backend.kind=tap-xdp-drop", key="backend.kind")
    assert question.dropped == ("backend.line_gbps",)
    assert question.state == State(SEED)
    assert asked("backend.line_gbps=40", "backend.kind=tap-xdp-redirect").dropped == ()


def test_a_control_without_effect_cannot_be_moved():
    with pytest.raises(ConfigError, match=r"line_gbps=40: is not read .* would need backend.kind=tap-xdp-redirect"):
        asked("backend.line_gbps=40", key="backend.line_gbps")


def test_a_control_moved_back_is_no_change():
    assert asked("kernel=v5.0", key="kernel").state == State(SEED)
    assert asked("kernel=v5.0").state.overrides == ["kernel=v5.0"]  # an address stays what it is


def test_what_was_moved_back_before_it_was_answered_is_no_change_either():
    state = of_command(SEED, ["mitigations.smap=false", "mitigations.pti=true", "virtqueue.layout=split"])
    question = ask(TABLES, state, "mitigations.smap", ["virtqueue.layout"])
    assert question.state == of_command(SEED, ["mitigations.smap=false", "mitigations.pti=true"])


def test_a_switch_that_is_turned_back_asks_for_what_was_there_before():
    smap = next(control for control in controls.MITIGATIONS if control.key == "mitigations.smap")
    both = asked("mitigations.smap=false", "mitigations.retpoline=false")
    (back,) = beside(smap, both.state, both.scenario)
    state = moved(smap, both.state, both.scenario, back)
    assert ask(TABLES, state, "mitigations.smap").state == asked("mitigations.retpoline=false").state


def test_a_place_on_a_slider_is_the_number_that_a_press_there_gives():
    """Whole steps from the least on, then as many decimals as a step has, and never beyond the ends."""
    lfence = ask(TABLES, of_command(SEED, [])).scenario.cpu.primitives["lfence"]
    slider = MovableInput("cpu.primitives.lfence", lfence, "guess", 300.0, 401.0, 249.5, 451.5)
    assert slider.step == 1.0
    assert [slider.at(part) for part in (0.0, 0.1, 0.5, 1.0)] == [250.0, 270.0, 351.0, 451.5]
    fine = MovableInput("cpu.primitives.lfence", lfence, "guess", 4.0, 5.0, 3.5, 5.5)
    assert (fine.step, fine.at(0.501)) == (0.01, 4.5)


def test_a_slider_stands_between_the_stops_that_it_is_moved_to():
    burst, ring = (
        next(control for control in controls.RING if control.key == key) for key in ("driver.burst", "virtqueue.size")
    )
    for value, others in ((1, ["2"]), (256, ["128"]), (32, ["64", "16"]), (100, ["256", "64"])):  # 100 is next to 128
        question = asked(f"driver.burst={value}")
        assert beside(burst, question.state, question.scenario) == others
    assert nearest(burst.stops, 100.0) == 7
    question = asked()
    assert beside(ring, question.state, question.scenario) == ["512", "128"]
    (cpu, *_) = controls.tables_of(TABLES)
    assert beside(cpu, question.state, question.scenario) == []


@pytest.mark.parametrize("scenario", TABLES.names("scenario"))
def test_every_control_of_every_scenario_says_what_is_beside_it(scenario):
    question = ask(TABLES, State(scenario))
    for control in (*controls.MITIGATIONS, *controls.RING, *controls.HOST, *controls.TRAFFIC):
        texts = beside(control, question.state, question.scenario)
        assert len(texts) in {"switch": {1}, "slide": {1, 2}}.get(control.kind, {0})
        assert shown(control, question.state, question.scenario) not in texts


def test_what_is_without_effect_says_what_it_would_need():
    question = asked()
    keys = ["backend.line_gbps", "driver.burst", "mitigations.smap", "queues.workers"]
    assert without_effect(question, keys) == {"backend.line_gbps", "queues.workers"}
    said = reason(ways(TABLES, question), "backend.line_gbps")
    assert said.startswith("no effect in this scenario; it would need backend.kind=tap-xdp-redirect or ")


def test_a_search_for_what_a_key_would_need_that_is_broken_off_knows_what_it_has_found(monkeypatch):
    built, known, question = [], Known(), asked()

    def noted(*arguments, **options):
        built.append(arguments)
        return build_plan(*arguments, **options)

    monkeypatch.setattr(searched, "build_plan", noted)
    looks = iter([True] * 3)
    with pytest.raises(OutdatedError):
        known.reason(TABLES, question, "backend.line_gbps", lambda: next(looks, False))
    broken_off, whole = len(built), reason(ways(TABLES, question), "backend.line_gbps")
    alone = len(built) - broken_off
    assert 0 < broken_off < alone
    assert known.reason(TABLES, question, "backend.line_gbps") == whole
    assert len(built) - broken_off - alone == alone - broken_off


def test_a_variant_of_ones_own_is_one_of_the_variants():
    state = State(SEED, (("access", "copy_user,one-window"),), WINDOW)
    question = ask(TABLES, state)
    assert [variant.name for variant in question.scenario.access] == ["copy_user", "one-window"]
    assert question.folder is not None
    assert [variant.name for variant in as_shipped(TABLES, state).access] == ["copy_user", "vmap", "ideal"]


def test_a_variant_stands_beside_the_tables_of_ones_own_folder(tmp_path):
    (tmp_path / "cpus").mkdir()
    text = "schema: 1\nkind: cpu\nname: mine\ntitle: mine\nextends: zen4\n"
    (tmp_path / "cpus" / "mine.yaml").write_text(text, encoding="utf-8")
    tables = Tables(tmp_path)
    assert "mine" in tables.names("cpu")
    state = State(SEED, (("access", "copy_user,one-window"), ("cpu", "mine")), WINDOW)
    assert ask(tables, state).scenario.cpu.name == "mine"
    assert not (tmp_path / "access").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State("nowhere"), "scenario: unknown scenario 'nowhere'"),
        (State("/etc/passwd"), "scenario: unknown scenario '/etc/passwd'"),
        (State(SEED, (("cpu", "zen9"),)), "cpu=zen9: unknown cpu 'zen9'; did you mean"),
        (State(SEED, (("virtqueue.size", "100"),)), "virtqueue.size=100: virtqueue.size: 100 is not a power of two"),
        (State(SEED, (), "name: x"), "accessor: keys 'schema'"),
        (State(SEED, (), WINDOW.replace("stac, load", "stack, load")), "accessor: metadata.recipes"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(state, said):
    with pytest.raises(ConfigError) as error:
        ask(TABLES, state)
    assert str(error.value).startswith(said)
    assert "vhost-sim-" not in str(error.value)


def test_a_path_that_was_opened_may_be_asked_about(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"schema: 1\nkind: scenario\nname: mine\nextends: {SEED}\nkernel: v6.12\n", encoding="utf-8")
    assert ask(Tables(opened=[str(file)]), State(str(file))).scenario.kernel.name == "v6.12"


EVERY = (*controls.tables_of(TABLES), *controls.MITIGATIONS, *controls.RING, *controls.HOST, *controls.TRAFFIC)


@pytest.mark.parametrize("control", EVERY, ids=lambda control: control.key)
def test_a_control_that_is_moved_shows_where_it_was_moved_to(control: Control):
    """In the seed, or where the key has an effect."""
    before = {
        "mitigations.ibrs": ["cpu=skylake-sp", "kernel=v6.12"],
        "mitigations.bhi": ["cpu=ice-lake-sp", "kernel=v6.12"],
        "mitigations.mds": ["cpu=skylake-sp", "kernel=v6.12"],
        "mitigations.spec_rstack_overflow": ["cpu=zen3", "kernel=v6.12"],
        "mitigations.retbleed": ["cpu=zen2", "kernel=v6.12", "mitigations.spec_rstack_overflow=false"],
        "mitigations.indirect_target_selection": ["cpu=ice-lake-sp", "kernel=v7.3"],
        "backend.line_gbps": ["backend.kind=tap-xdp-redirect"],
        "backend.port": ["backend.kind=tap-bridge"],
        "queues.workers": ["queues.pairs=2"],
        "traffic.load.pps": ["traffic.load=1e+6"],
    }.get(control.key, [])
    question = asked(*before)
    old = shown(control, question.state, question.scenario)
    if control.kind == "slide":
        assert float(old) == float(old)
        others = [f"{stop:.0f}" for stop in control.stops if stop != float(old)]
    else:
        others = [text for text in control.choices if text != old]
    other = others[len(others) // 2]
    if control.key == "access":
        other = "copy_user,vmap_notifier"
    if control.key == "calibration":
        other = "null"
    state = moved(control, question.state, question.scenario, other)
    assert set(keys_of(control)) & {key for key, _ in state.changes}
    after = ask(TABLES, state)
    now = shown(control, after.state, after.scenario)
    assert (float(now) == float(other)) if control.kind == "slide" else (now == other)


def test_the_headlines_size_is_moved_and_the_others_stay():
    control = next(control for control in EVERY if control.key == controls.SIZES)
    question = asked()
    state = moved(control, question.state, question.scenario, "1500")
    assert state.overrides == ["traffic.packet_bytes=1500,128,256,512,1024,1518"]
    again = moved(control, state, ask(TABLES, state).scenario, "128")
    assert again.overrides == ["traffic.packet_bytes=128,256,512,1024,1518"]


def test_the_barrier_is_among_the_inputs_and_what_was_set_stays():
    from sim.study.runs.case import sides_of
    from sim.study.sensitivity.tornado import swing_entries

    question = asked("traffic.packet_bytes=64", "access=copy_user,vmap", "cpu.primitives.lfence=20")
    inputs = controls.inputs(question.state, question.scenario, swing_entries(sides_of(question.scenario)), TABLES)
    assert len(inputs) <= controls.MOST_INPUTS + 1
    by_key = {known.key: known for known in inputs}
    fence = by_key["cpu.primitives.lfence"]
    assert fence.entry.value == 20
    assert fence.low < fence.high < 20 <= fence.most
    assert all(known.least <= known.low <= known.high <= known.most for known in inputs)


def test_what_keys_would_need_is_looked_for_once_for_all_of_them(monkeypatch):
    from sim.study.runs import asked as module

    built, build = [], module.build_plan

    def noted(*arguments, **options):
        built.append(arguments)
        return build(*arguments, **options)

    monkeypatch.setattr(module, "build_plan", noted)
    known = ways(TABLES, asked())
    first, number = known.of("queues.workers"), len(built)
    assert first == ["queues.pairs=2"]
    assert number > 0
    assert known.of("queues.workers") == first
    assert len(built) == number
    assert known.of("backend.line_gbps")[0] == "backend.kind=tap-xdp-redirect"
    assert len(built) <= number + 1


def test_what_is_known_of_controls_is_that_of_the_last_states_alone(monkeypatch):
    """A page may be open for days."""
    monkeypatch.setattr("sim.live.answers.without_effect", lambda question, keys: set(keys))
    monkeypatch.setattr("sim.live.answers.ways", lambda tables, question: question)
    monkeypatch.setattr("sim.live.answers.reason", lambda known, key, looking: f"{key} in {known.state.scenario}")
    known, first = Known(), asked()
    for number in range(3000):
        question = replace(first, state=State(str(number)))
        assert known.without_effect(question, ["cpu"]) == {"cpu"}
        assert known.reason(TABLES, question, "cpu") == f"cpu in {number}"
    assert (len(known._idle), len(known._reasons)) == (256, 2048)
