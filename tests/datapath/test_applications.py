"""Applications above the ring: how many calls, packets and answers there are, who waits for whom, what is conserved."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.config.errors import ConfigError
from sim.config.scenario.application import Sockets, frame_bytes, payload_bytes
from sim.config.tables.quantity import Quantity, shipped_default
from sim.datapath import build_plan
from sim.datapath.applications.messages import (
    CALLS,
    most_under_way,
    packets_per_answer,
    read_bytes,
    window_closes_at,
    window_opens_at,
)
from sim.datapath.plan.registers import R
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

COUNTS = Path(__file__).parents[1] / "data" / "counts" / "sockets.csv"
OUT, INTO, ASKS, DATAGRAMS = "tcp-stream-messages", "tcp-stream-to-guest", "tcp-request-response", "udp-datagrams"


def load(name, *overrides):
    return sim.load_scenario(name, overrides=["access=copy_user", "run.packets=4000", *overrides])


def run(name, *overrides):
    return sim.run(load(name, *overrides)).points[0]


def plan_of(scenario):
    return build_plan(scenario, "copy_user", scenario.traffic.sizes[0])


def engine_of(scenario, packets, kind=FastEngine):
    engine = kind(plan_of(scenario), 256)
    engine.trace = []
    engine.run(packets)
    return engine


# -- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("application", "message", "carried", "frame"),
    [
        ("tcp-stream", 64, 1448, 1448 + 66),  # as many calls as fill a frame
        ("tcp-stream", 1448, 1448, 1448 + 66),
        ("tcp-stream", 16384, 16384, 16384 + 66),
        ("tcp-stream", 65536, 45 * 1448, 45 * 1448 + 66),  # whole frames that 64 KB hold
        ("tcp-rr", 1, 1, 1 + 66),
        ("udp", 64, 64, 64 + 42),
    ],
)
def test_what_a_packet_carries(application, message, carried, frame):
    assert payload_bytes(application, message) == carried
    assert frame_bytes(application, message) == frame


@pytest.mark.parametrize(
    ("overrides", "answers", "most", "read"),
    [
        (["traffic.message_bytes=64"], 2, 256, 1448),  # 3 MiB hold more than the ring of answers
        (["traffic.message_bytes=64", "sockets.reads=message"], 2, 256, 64),
        (["traffic.message_bytes=1448"], 2, 256, 1448),
        (["traffic.message_bytes=1449"], 1, 256, 1449),  # more than one full frame
        (["traffic.message_bytes=2895"], 1, 256, 2895),
        (["traffic.message_bytes=65536"], 1, (3 << 20) // 65160, 65160),
        (["traffic.message_bytes=65536", "traffic.sessions=2"], 1, 2 * (3 << 20) // 65160, 65160),
        (["sockets.window=131072"], 1, 131072 // 16384, 16384),
    ],
)
def test_how_many_packets_are_under_way_and_answered(overrides, answers, most, read):
    scenario = load(OUT, *overrides)
    assert (packets_per_answer(scenario), most_under_way(scenario), read_bytes(scenario)) == (answers, most, read)


def test_each_session_of_requests_has_one_under_way():
    scenario = load(ASKS, "traffic.sessions=5")
    assert (packets_per_answer(scenario), most_under_way(scenario)) == (1, 5)


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        (("application=udp", "message_bytes=1473"), "a message of udp fits one frame, 1472 bytes at most"),
        (("application=tcp-rr", "message_bytes=1449"), "a message of tcp-rr fits one frame, 1448 bytes at most"),
        (("mix=imix",), "it goes with no mix and with load saturate"),
        (("load=1e6",), "it goes with no mix and with load saturate"),
    ],
)
def test_traffic_that_no_application_makes_is_one_line(settings_, says):
    with pytest.raises(ConfigError, match=says):
        load(OUT, *(f"traffic.{setting}" for setting in settings_))


#: What a read that acknowledges nothing was counted with.
SILENT = {"6.1.192": "read_s1408", "6.12.118": "read_s4096"}


def counts_of(kernel):
    rows = [row for row in csv.DictReader(COUNTS.open()) if row["kernel"] == kernel]
    return {row["configuration"].removeprefix("sock_"): row for row in rows}


def test_what_calls_execute_is_what_was_counted():
    """Differences of the rows that each default names; a second kernel lies inside every range."""
    tap = shipped_default("sockets.tap_xmit").value

    def of(kernel):
        rows = counts_of(kernel)

        def get(name, column="instructions"):
            return float(rows[name][column])

        gathered, silent = (get("gather17_s64") - get("send_s64")) / 16, SILENT[kernel]
        read_call = (get("pieces22_s64") - get("read_s1408")) / 21
        return {
            "send_call": gathered,
            "send_page": (get("send_s65160") - get("send_s1448")) / 15,
            "send_segment": get("send_s1448") - gathered - tap,
            "arrive": get("arrive_s64") - get("write_skb_s64"),
            "acknowledge": get("ack_s1448") - get("write_skb_s64"),
            "read_call": read_call,
            "read_packet": get(silent) - read_call,
            "read_piece": (get("read_s65160") - get(silent)) / (get("read_s65160", "windows") - 1),
            "answer": get("read_s64") - get(silent) - tap,
            "select_call": get("select_s64"),
            "select_idle": (get("select3_s64") - get("select_s64")) / 2,
            "datagram_send": get("datagram_send_s64") - tap,
            "datagram_arrive": get("datagram_arrives_s64") - get("write_skb_s64"),
            "datagram_read": get("datagram_read_s64"),
        }

    counted = of("6.1.192")
    given = {name for name, field in Sockets.model_fields.items() if field.annotation is Quantity}
    # counted elsewhere (test_allocation), or not by themselves
    assert given - counted.keys() == {
        "own_cost",
        "indirect_calls",
        "locked_operations",
        "tap_xmit",
        "up_to_socket",
        "charge_send",
        "charge_arrive",
        "charge_read",
    }
    for name, value in counted.items():
        assert shipped_default(f"sockets.{name}").value == pytest.approx(value, rel=0.01), name
    for name, value in of("6.12.118").items():
        entry = shipped_default(f"sockets.{name}")
        assert entry.low <= value <= entry.high, name


@pytest.mark.parametrize(("kernel", "counted"), [("v6.1", "6.1.192"), ("v6.12", "6.12.118")])
@pytest.mark.parametrize("n_bytes", [4096, 16384, 65160])
def test_a_reader_copies_the_pieces_of_the_packet_that_the_tap_built(kernel, counted, n_bytes):
    plan = plan_of(load(OUT, f"traffic.message_bytes={n_bytes}", f"kernel={kernel}", "calibration=null"))
    read = named(plan, "receiver", "read_on")
    assert counted_in(read, "stac") * read.repeats == float(counts_of(counted)[f"read_s{n_bytes}"]["windows"])


def counted_calls(kernel):
    """Indirect calls and locked operations of each operation, as differences of rows."""
    counted = {name: (float(row["indirect_calls"]), float(row["locked"])) for name, row in counts_of(kernel).items()}
    silent = counted[SILENT[kernel]]

    def less(name, others, shared=1):
        return [(more - without) / shared for more, without in zip(counted[name], others, strict=True)]

    gathered, read = less("gather17_s64", counted["send_s64"], 16), less("pieces22_s64", counted["read_s1408"], 21)
    return {
        "send_call": gathered,
        "send_segment": [one - other for one, other in zip(less("send_s1448", gathered), (1, 2), strict=True)],
        "arrive": less("arrive_s64", counted["write_skb_s64"]),
        "read_call": read,
        "read_packet": less(SILENT[kernel], read),
        "tap_xmit": (1, 0),  # its ndo_start_xmit; its lock is a step of its own
        "answer": [one - 1 for one in less("read_s64", silent)],
        "acknowledge": less("ack_s1448", counted["write_skb_s64"]),
        "select_call": counted["select_s64"],
        "select_idle": less("select3_s64", counted["select_s64"], 2),
        "datagram_send": less("datagram_send_s64", (1, 1)),
        "datagram_arrive": less("datagram_arrives_s64", counted["write_skb_s64"]),
        "datagram_read": counted["datagram_read_s64"],
    }


def test_indirect_calls_and_locked_operations_are_those_that_were_counted():
    expected = counted_calls("6.1.192")
    assert expected.keys() == CALLS.keys()
    for name, (indirect, locked) in expected.items():
        assert CALLS[name][:2] == (pytest.approx(indirect, abs=0.6), pytest.approx(locked, abs=0.7)), name


def test_the_share_that_another_kernel_executes_of_them_is_in_its_range():
    """Half a call more or less is how whole the first kernel's counts are."""
    shares = [shipped_default(f"sockets.{name}") for name in ("indirect_calls", "locked_operations")]
    for name, counts in counted_calls("6.12.118").items():
        for share, first, second in zip(shares, CALLS[name], counts, strict=False):
            assert share.low * first - 0.5 <= second <= share.high * first + 0.5, (name, second)


def test_a_share_of_indirect_calls_and_locked_operations_is_what_a_call_executes():
    overrides = ("sockets.indirect_calls.value=0.2", "sockets.locked_operations.value=0.75")
    whole, less = plan_of(load(OUT)), plan_of(load(OUT, *overrides))
    indirect, locked, _ = CALLS["send_call"]
    for plan, calls_, operations in ((whole, indirect, locked), (less, 0.2 * indirect, 0.75 * locked)):
        row = named(plan, "driver", "send")
        assert counted_in(row, "retpoline") == pytest.approx(calls_)
        assert counted_in(row, "lock_rmw") == pytest.approx(operations)


def test_returns_are_those_that_were_counted():
    """Those of the TAP below a segment and an answer, one in 36 of its instructions, are not the socket's."""
    with (COUNTS.parent / "socket_returns.csv").open() as file:
        counted = {row["configuration"].removeprefix("sock_"): float(row["returns"]) for row in csv.DictReader(file)}
    up, tap = counted["write_skb_s64"], shipped_default("sockets.tap_xmit").value / 36
    send, read = (
        (counted["gather17_s64"] - counted["send_s64"]) / 16,
        (counted["pieces22_s64"] - counted["read_s1408"]) / 21,
    )
    expected = {
        "send_call": send,
        "send_segment": counted["send_s1448"] - send - tap,
        "arrive": counted["arrive_s64"] - up,
        "read_call": read,
        "read_packet": counted["read_s1408"] - read,
        "answer": counted["read_s64"] - counted["read_s1408"] - tap,
        "acknowledge": counted["ack_s1448"] - up,
        "tap_xmit": tap,
        "select_call": counted["select_s64"],
        "select_idle": (counted["select3_s64"] - counted["select_s64"]) / 2,
        "datagram_send": counted["datagram_send_s64"] - tap,
        "datagram_arrive": counted["datagram_arrives_s64"] - up,
        "datagram_read": counted["datagram_read_s64"],
    }
    assert {name: returns for name, (_, _, returns) in CALLS.items()} == pytest.approx(expected, abs=0.7)


@pytest.mark.parametrize("actor", ["driver", "worker", "receiver"])
def test_mitigated_returns_of_sockets_are_paid_by_whoever_calls(actor):
    """On the worker a retpoline has its return already, everywhere else returns are those that were counted."""
    on, off = (
        plan_of(load(OUT, "cpu=zen4", "calibration=null", "kernel=v6.1", f"mitigations.spec_rstack_overflow={flag}"))
        for flag in ("true", "false")
    )
    labels = {
        "driver": ("send", "send_call"),
        "worker": ("receive_socket", "arrive"),
        "receiver": ("read_on", "read_call"),
    }
    label, name = labels[actor]
    found = [
        sum(part.count for part in (*row.components, *row.unit_components) if part.primitive == "safe_ret")
        for plan in (on, off)
        for row in plan.rows
        if row.actor == actor and row.label.endswith(label)
    ]
    assert found == [CALLS[name][2], 0]


def test_sockets_in_a_memory_cgroup_charge_what_was_counted():
    counted = {}
    for name in ("allocation", "sockets"):
        for row in csv.DictReader((COUNTS.parent / f"{name}.csv").open()):
            counted[row.get("boot", row["kernel"]), row["configuration"]] = float(row["instructions"])
    for entry, name in (("send", "sock_send_s1448"), ("arrive", "sock_arrive_s1448"), ("read", "sock_read_s1408")):
        more = counted["cgroup=counted", name] - counted["6.1.192", name]
        assert shipped_default(f"sockets.charge_{entry}").value == pytest.approx(more, rel=0.01)
    plain, grouped = run(OUT), run(OUT, "kernel.behaviour.memory_cgroups=true")
    assert grouped.pps < plain.pps


# -- how often --------------------------------------------------------------------------------------------------------


def test_a_stream_calls_until_a_frame_is_full_and_acknowledges_every_second():
    point = run(OUT, "traffic.message_bytes=64")
    assert point.row_rates["driver.send"] == pytest.approx(1448 / 64, rel=0.01)
    assert point.row_rates["receiver.answer"] == pytest.approx(1 / 2, rel=0.02)
    assert point.row_rates["worker.answer_take"] == pytest.approx(1 / 2, rel=0.02)
    assert point.row_rates["driver.answer_read"] == pytest.approx(1 / 2, rel=0.02)


def test_a_reader_of_messages_calls_as_often_as_the_writer_and_asks_before_each():
    point = run(OUT, "traffic.message_bytes=512", "sockets={reads: message, selects: true}")
    assert point.row_rates["receiver.read"] == pytest.approx(1448 / 512, rel=0.02)
    assert point.row_rates["receiver.read_on"] == pytest.approx(1448 / 512, rel=0.02)


def test_a_message_beyond_64_kb_makes_more_than_one_packet():
    point = run(OUT, "traffic.message_bytes=65536")
    assert point.row_rates["driver.send"] == pytest.approx(65160 / 65536, rel=0.01)
    assert point.row_rates["receiver.answer"] == pytest.approx(1, rel=0.02)


def test_the_guest_that_reads_acknowledges_through_its_other_queue():
    point = run(INTO, "traffic.message_bytes=1448", "run.packets=20000")  # until the window is full
    assert point.row_rates["source.send"] == pytest.approx(1, rel=0.02)
    for label in ("driver.acknowledge", "worker.answer_head", "worker.answers_socket"):
        assert point.row_rates[label] == pytest.approx(1 / 2, rel=0.03)


def test_a_transaction_is_a_call_to_send_and_one_to_read_on_both_sides():
    point = run(ASKS)
    for label in ("driver.send", "driver.reply", "receiver.read_on", "receiver.answer", "worker.answer_take"):
        assert point.row_rates[label] == pytest.approx(1, rel=0.02)
    assert point.row_rates["worker.idle"] == pytest.approx(2, rel=0.02)  # woken for the request, and for the reply


def named(plan, actor, label):
    return next(row for row in plan.rows if (row.actor, row.label) == (actor, label))


def counted_in(row, primitive):
    return sum(part.count for part in (*row.components, *row.unit_components) if part.primitive == primitive)


def spent(row, primitive):
    return sum(part.cost_ps for part in row.components if part.primitive == primitive)


def test_a_reply_is_a_call_as_the_request_is():
    """A system call, its copy in a window, the program's own work and its bytes: on both sides, for both calls."""
    scenario = load(ASKS, "traffic.message_bytes=1400")
    plan, own = plan_of(scenario), scenario.sockets.own_cost.value
    guest, host = scenario.driver.byte_cost.value, scenario.backend.receiver_byte_cost.value
    for actor, label, per_byte in (
        ("driver", "send", guest),
        ("driver", "reply", guest),
        ("receiver", "read_on", host),
        ("receiver", "answer", host),
    ):
        row = named(plan, actor, label)
        assert {"syscall", "stac", "clac", "copy_bytes"} <= {part.primitive for part in row.components}, label
        assert spent(row, "driver_work") == pytest.approx(1e3 * (own + 1400 * per_byte), abs=1), label


@pytest.mark.parametrize("setting", ["up_to_socket=1000000", "acknowledge=449", "arrive=449"])
def test_what_a_segment_and_an_acknowledgement_have_in_common_is_not_more_than_either(setting):
    """450 instructions from IP to the socket are a part of both: less than nothing would be left of the smaller one."""
    scenario = load(ASKS, f"sockets.{setting}")
    with pytest.raises(ConfigError, match=r"^sockets.up_to_socket: is a part of sockets.*, which is less"):
        plan_of(scenario)


def test_a_request_acknowledges_the_reply_before_it_and_the_other_way_round():
    """What both have in common, from IP to the socket, is paid for once; a segment of a stream acknowledges nothing."""
    get = {name: shipped_default(f"sockets.{name}").value for name in ("arrive", "acknowledge", "up_to_socket")}
    both = get["arrive"] + get["acknowledge"] - get["up_to_socket"]
    asks, stream = plan_of(load(ASKS)), plan_of(load(OUT))
    host = [row for row in asks.rows if row.actor == "worker" and row.label.endswith("_socket")]
    assert host
    for row in [*host, named(asks, "driver", "answer_read")]:
        assert counted_in(row, "instruction") == pytest.approx(both)
    for row in (row for row in stream.rows if row.actor == "worker" and row.label == "receive_socket"):
        assert counted_in(row, "instruction") == pytest.approx(get["arrive"])


def test_what_counts_leave_out_of_the_tap_is_paid_for_where_there_is_one():
    """Above a TAP an answer costs what was counted; a guest, whose device is another, has no tun_net_xmit."""
    whole = sum(shipped_default(f"sockets.{name}").value for name in ("answer", "tap_xmit"))
    assert counted_in(named(plan_of(load(OUT)), "receiver", "answer"), "instruction") == pytest.approx(whole)
    into = plan_of(load(INTO))
    assert counted_in(named(into, "driver", "acknowledge"), "instruction") == pytest.approx(
        shipped_default("sockets.answer").value
    )
    made = named(into, "source", "make")
    assert counted_in(made, "instruction") == pytest.approx(shipped_default("sockets.tap_xmit").value)
    assert counted_in(made, "retpoline") == 1


def test_a_result_says_what_a_stream_carries_and_how_long_a_transaction_takes():
    stream, asks = run(OUT, "traffic.message_bytes=64"), run(ASKS, "traffic.sessions=3")
    assert stream.goodput_gbps == pytest.approx(stream.pps * 1448 * 8 / 1e9)
    assert asks.transaction_us == pytest.approx(3e6 / asks.pps)
    assert stream.transaction_us is None
    plain = run("virtio-net-xdp1-tap", "traffic.packet_bytes=64")
    assert (plain.goodput_gbps, plain.transaction_us) == (None, None)


def test_datagrams_are_not_answered():
    point = run(DATAGRAMS)
    assert point.row_rates["driver.send"] == pytest.approx(1, rel=0.01)
    assert not any("answer" in label for label in point.row_rates)


def test_a_guest_kicks_once_for_each_avail_event_that_the_worker_writes():
    """It acknowledges faster than the worker comes round: between two rounds one kick, and no second one."""
    point = run(INTO, "run.packets=20000")
    kicks, rounds = (point.row_rates[label] for label in ("driver.answer_kick", "worker.answers_on"))
    assert kicks <= rounds < 0.7 * point.row_rates["driver.acknowledge"]


def test_a_worker_calls_once_for_each_used_event_that_the_guest_writes():
    point = run(OUT, "traffic.sessions=8", "run.packets=20000")
    interrupts, events = (point.row_rates[label] for label in ("worker.answers_call", "driver.answers_over"))
    assert interrupts == pytest.approx(events, rel=0.05)


# -- who waits for whom -----------------------------------------------------------------------------------------------


def test_a_worker_that_polls_answers_sooner():
    """It is never woken, and that is what a transaction saves: two wake-ups of 1.5 us less what polling costs."""
    asleep, polls = run(ASKS), run(ASKS, "device.busyloop_timeout_us=50")
    assert polls.row_rates.get("worker.idle", 0) == 0
    assert 2 < asleep.transaction_us - polls.transaction_us < 2 * 1.5 + 1.5
    assert polls.bound_by == asleep.bound_by == "latency"


def test_an_idle_core_that_sleeps_deeply_delays_every_transaction():
    """Two wake-ups of the worker, each from C6."""
    shallow, deep = run(ASKS), run(ASKS, "placement.idle_state=c6")
    exit_us = load(ASKS).cpu.primitives["idle_exit_c6"].value
    assert deep.transaction_us - shallow.transaction_us == pytest.approx(2 * exit_us, rel=0.05)


def test_sessions_have_cpus_of_their_own_until_the_worker_is_full():
    one, two, eight = (run(OUT, "traffic.message_bytes=1024", f"traffic.sessions={n}").pps for n in (1, 2, 8))
    assert 1.5 * one < two < 2.6 * one
    point = run(OUT, "traffic.message_bytes=1024", "traffic.sessions=8")
    assert point.bound_by == "worker"
    assert two < eight < 8 * one


def test_who_reads_too_slowly_closes_the_window():
    slow = run(OUT, "traffic.message_bytes=65536", "backend.receiver_byte_cost.value=0.25")
    assert slow.bound_by == "receiver"
    assert slow.row_rates["driver.blocked"] > 0


def test_a_writer_sleeps_until_a_third_of_its_window_is_open():
    """Its window of 256 packets closes; it writes again at 171: at most one sleep in 85 packets, not at each answer.

    While it writes, the reader goes on reading: the more of the time it writes, the more packets a sleep has.
    """
    scenario = load(OUT, "traffic.message_bytes=64", "sockets={reads: message, selects: true, asked: 3}")
    closes, opens = window_closes_at(scenario), window_opens_at(scenario)
    assert (closes, opens) == (256, 256 - 256 // 3)
    point = sim.run(scenario).points[0]
    assert point.bound_by == "receiver"
    assert 0.3 / (closes - opens) < point.row_rates["driver.writes_again"] <= 1 / (closes - opens)


def test_a_session_whose_window_holds_little_sleeps_no_longer_than_what_readers_keep_back():
    """Each of eight readers may keep one packet back for ever: a writer that waited for those would never be woken."""
    scenario = load(OUT, "traffic.message_bytes=64", "traffic.sessions=8", "virtqueue.size=16")
    assert window_opens_at(scenario) == 1 < window_closes_at(scenario) == 16 / 8
    assert sim.run(scenario).points[0].pps > 0


def test_each_further_socket_that_a_call_asks_costs_its_wait_queue():
    plans = [plan_of(load(OUT, "sockets.selects=true", f"sockets.asked={n}")) for n in (1, 3)]
    one, three = (next(row for row in plan.rows if "select" in row.title) for plan in plans)
    assert three.instructions - one.instructions >= 2 * shipped_default("sockets.select_idle").value
    many = [sum(part.count for part in row.components if part.primitive == "lock_rmw") for row in (one, three)]
    assert many[1] - many[0] == 2 * CALLS["select_idle"][1]


def test_an_access_variant_gains_what_it_saves_on_both_queues():
    """Of a transaction the worker handles two packets; vmap takes the toggles of both away."""
    points = sim.run(sim.load_scenario(ASKS, overrides=["run.packets=4000"])).points
    before, after = (point.breakdown_cycles["stac"] for point in points)
    rings = load(ASKS).cpu.primitives["stac"].value * 4
    assert before - after > 2 * rings / 2
    assert points[1].pps > points[0].pps


def test_a_worker_does_not_sleep_on_answers_beyond_a_batch():
    """Three readers acknowledge more than 64 packets while the worker transmits: it once slept on the rest."""
    scenario = load(OUT, "traffic.message_bytes=4000", "traffic.sessions=3", "kernel=v4.20", "calibration=null")
    assert engine_of(scenario, 6000).machine.registers[R.RING_USED_IDX] >= 6000


def test_sessions_share_evenly():
    """None is let into the driver twice before one that asked earlier; the first also takes answers."""
    datagrams = run(DATAGRAMS, "traffic.sessions=16", "run.packets=20000")
    assert datagrams.bound_by == "worker"
    assert shares(datagrams, "segment", 16) == pytest.approx([1 / 16] * 16, rel=0.02)
    for message in (1448, 16384):
        stream = run(OUT, f"traffic.message_bytes={message}", "traffic.sessions=8", "run.packets=20000")
        assert stream.bound_by == "worker"
        assert shares(stream, "segment", 8) == pytest.approx([1 / 8] * 8, rel=0.05)


def shares(point, label, sessions):
    actors = ["driver", *(f"driver.{number}" for number in range(1, sessions))]
    return [point.row_rates[f"{actor}.{label}"] for actor in actors]


@pytest.mark.parametrize(
    ("overrides", "enters", "leaves"),
    [
        (["traffic.sessions=4"], "queue_lock", "sent"),
        (["traffic.sessions=4", "traffic.message_bytes=1448"], "answer_lock", "answer_unlock"),
    ],
)
def test_one_session_at_a_time_is_inside_a_lock(overrides, enters, leaves):
    engine = engine_of(load(OUT, *overrides), 2000, ReferenceEngine)
    inside, entries, plan = None, 0, engine.machine.plan
    worker = plan.actors.index("worker")
    for event in (event for event in engine.trace if event.actor != worker):
        for row in plan.segments[event.segment].rows:
            if plan.rows[row].label == enters:
                assert inside is None
                inside, entries = event.actor, entries + 1
            elif plan.rows[row].label == leaves:
                assert inside == event.actor
                inside = None
    assert entries > 500


def test_a_lock_costs_its_locked_operation_and_the_line_of_whoever_had_it():
    plan = plan_of(load(OUT, "traffic.sessions=2"))
    for label in ("queue_lock", "answer_lock"):
        rows = [row for row in plan.rows if row.label == label]
        assert len(rows) == 2
        for row in rows:
            assert [part.primitive for part in row.components] == ["spin_lock"]
            assert row.access.region in ("transmit_lock", "producer_lock")


# -- conservation, and both engines -----------------------------------------------------------------------------------


CASES = st.tuples(
    st.sampled_from([OUT, INTO, ASKS, DATAGRAMS]),
    st.sampled_from([1, 64, 700, 1400]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    st.sampled_from([0, 5]),
    st.integers(1, 300),
)


@given(CASES)
@settings(max_examples=15, deadline=None)
def test_nothing_is_lost_and_engines_agree(case):
    name, message, sessions, event_idx, polls, packets = case
    overrides = [f"virtqueue.event_idx={str(event_idx).lower()}"]
    if name != INTO:
        overrides += [f"device.busyloop_timeout_us={polls}"] if polls else []
        overrides += [f"traffic.sessions={sessions}"] if sessions > 1 else []
    scenario = load(name, *overrides, f"traffic.message_bytes={message}")
    fast = engine_of(scenario, packets)
    slow = engine_of(scenario, packets, ReferenceEngine)
    assert fast.trace == slow.trace
    registers = fast.machine.registers
    answers, taken, given_, seen = (
        int(registers[register]) for register in (R.ANSWERS, R.ANSWERS_TAKEN, R.ANSWERED, R.ANSWERS_SEEN)
    )
    if name == INTO:
        assert 0 <= answers - taken <= most_under_way(scenario)
        in_batch = packets_per_answer(scenario) * taken - registers[R.SEGMENTS_ACKNOWLEDGED]
        assert 0 <= in_batch <= packets_per_answer(scenario) * scenario.device.batch
        assert registers[R.SEGMENTS_SENT] >= registers[R.PRODUCED] >= registers[R.RETURNED]
    else:
        assert answers >= taken >= given_ >= seen >= 0
        assert registers[R.SEGMENTS_ACKNOWLEDGED] == packets_per_answer(scenario) * seen * (name != DATAGRAMS)
        assert registers[R.SEGMENTS_SENT] >= registers[R.SINK_QUEUED] >= registers[R.SINK_DONE]
        assert registers[R.SINK_DONE] >= packets_per_answer(scenario) * answers - sessions
    if name != DATAGRAMS:
        assert registers[R.SEGMENTS_SENT] - registers[R.SEGMENTS_ACKNOWLEDGED] <= most_under_way(scenario)
