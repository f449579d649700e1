# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. Traffic: what people ask about a guest
#
# A patch is argued about with packets of one size that are always there. People who run guests ask other things.
#
# **The question:** what does `vhost=on` bring for this guest? How many queues? Which message size needs segmentation
# offload? What does back-pressure cost?
#
# An interval holds nine tenths of what would be measured: ranges of the tables, how far the model is off, how far rigs
# repeat themselves. Sides of one question meet the same draws.

# %%
import numpy as np
import pandas as pd

import sim
from sim.report.notebook.show import chart, prose, table
from sim.report.plots.comparisons import curves_figure
from sim.report.tables.evidence import interval
from sim.study.runs.case import sides_of, with_values
from sim.study.uncertainty.distributions import draws_of
from sim.study.uncertainty.intervals import Interval, interval_of
from sim.study.uncertainty.uncertainty import uncertainty

DRAWS = 40


def rates(*scenarios):
    """Return the rates of each scenario's variants and sizes, and gains over the first side of the same size."""
    return uncertainty([side for scenario in scenarios for side in sides_of(scenario)], DRAWS)


def in_millions(bounds):
    """Write packets per second in millions."""
    return interval(Interval(bounds.value / 1e6, bounds.low / 1e6, bounds.high / 1e6))


# %% [markdown]
# ## What does `vhost=on` bring for this guest?
#
# Without vhost QEMU's main loop takes each packet off the ring and writes it into the TAP. The write is counted, QEMU's own
# work is a guess of a wide range, and the guest is the same.

# %%
SIZES = [64, 1518]
kernel, size = "v6.12", {"traffic.packet_bytes": SIZES}
without = sim.load_scenario("qemu-tx", settings={"kernel": kernel, **size})
with_vhost = sim.load_scenario("virtio-net-xdp1-tap", settings={"kernel": kernel, **size})
on_and_off = rates(without, with_vhost)
table(
    pd.DataFrame(
        [
            {"back end": rate.access, "bytes": rate.packet_bytes, "Mpps": in_millions(rate.pps)}
            for rate in on_and_off.rates
        ]
    )
)

# %%
gains = {(gain.after, gain.packet_bytes): gain for gain in on_and_off.gains}
small = gains["copy_user", 64]
assert small.certain
calm = sim.load_scenario("qemu-tx", settings={"kernel": kernel, "traffic.packet_bytes": 64, "mitigations": "off"})
quick = sim.load_scenario(
    "virtio-net-xdp1-tap", settings={"kernel": kernel, "traffic.packet_bytes": 64, "mitigations": "off"}
)
unmitigated = next(gain for gain in rates(calm, quick).gains if gain.after == "copy_user")
prose(f"""
**vhost=on saves {interval(small.saved_ns)} ns per packet of 64 bytes, {interval(small.gain_percent)} %.** Most of that is a system
call per packet, and what mitigations add to each on the CPU of the seed: with `mitigations=off` it saves
{interval(unmitigated.saved_ns)} ns. A mapped ring besides makes it {interval(gains["vmap", 64].saved_ns)} ns.
""")

# %% [markdown]
# ## How many queues?
#
# Each queue pair has a worker and a core of its own. What they share is the socket: its caches, and the lines that move
# between cores.

# %%
PAIRS = (1, 2, 4, 8)
by_pairs = {
    pairs: rates(
        sim.load_scenario(
            "eight-workers",
            settings={"queues.pairs": pairs, "traffic.packet_bytes": 1518, "access": ["copy_user", "vmap"]},
        )
    )
    for pairs in PAIRS
}
found = {(rate.access, pairs): rate.pps for pairs, answer in by_pairs.items() for rate in answer.rates}
chart(
    curves_figure(
        {
            access: [
                (pairs, Interval(*(getattr(found[access, pairs], end) / 1e6 for end in ("value", "low", "high"))))
                for pairs in PAIRS
            ]
            for access in ("copy_user", "vmap")
        },
        "Packets per second of all queues, 1518 bytes",
        "queue pairs",
        "Mpps",
    ),
    "Rate against the number of queue pairs, a line and a 90 % band for each variant",
)

# %%
one, most = found["copy_user", 1], found["copy_user", PAIRS[-1]]
wanted = 100e9 / 8 / (1518 + 24)
enough = next((pairs for pairs in PAIRS if found["copy_user", pairs].low >= wanted), None)
prose(f"""
One worker sends {in_millions(one)} Mpps of 1518 bytes, {PAIRS[-1]} send {in_millions(most)}: {most.value / one.value:.1f} times as
many. A link of 100 Gbit/s carries {wanted / 1e6:.2f} Mpps of such frames, which {"no number of these" if enough is None else enough}
queue pair{" fills" if enough == 1 else "s fill"} at the lower end of the interval.
""")

# %% [markdown]
# ## Which message size needs segmentation offload?
#
# A guest writes messages to a TCP session. Up to a frame it gathers them into full frames; a longer message travels whole,
# and nobody cuts it (TSO). Without the offload every frame is a packet on the ring, as with messages of one frame.

# %%
MESSAGES = (256, 1448, 4096, 16384, 65536)
FRAME = 1448
streams = {
    length: sim.load_scenario(
        "tcp-stream-messages",
        settings={"traffic.message_bytes": length, "access": ["copy_user"], "run.packets": 8000},
    )
    for length in MESSAGES
}
points = {length: sim.run(scenario).points[0] for length, scenario in streams.items()}
bounds = {length: rates(scenario).rates[0].pps for length, scenario in streams.items()}
gigabits = {
    length: Interval(
        *(getattr(bounds[length], end) * points[length].payload_bytes * 8 / 1e9 for end in ("value", "low", "high"))
    )
    for length in MESSAGES
}
chart(
    curves_figure({"one session": list(gigabits.items())}, "TCP from guest to host", "bytes of a message", "Gbit/s"),
    "Gigabits per second against the size of a message, with a 90 % band",
)

# %%
first = next(length for length in MESSAGES if length > FRAME and gigabits[length].low > gigabits[FRAME].high)
prose(f"""
Messages of one frame carry {interval(gigabits[FRAME])} Gbit/s, whole messages of 16 KB {interval(gigabits[16384])}, of 64 KB
{interval(gigabits[65536])}. **From {first} bytes on the offload decides**: there the interval lies wholly above that of frames.
Below a frame it has nothing to do; {points[256].bound_by} bounds the stream of 256 bytes. Messages below 1 KB are where the
model is known to be too fast ([mismatches](../docs/mismatches.md)).
""")

# %% [markdown]
# ## What does back-pressure cost?
#
# Bursts come that a TAP's queue cannot hold. Either its tail drops them, or it stops the queue and they wait in front of it.


# %%
def lost(scenario, value):
    """Return the share of packets that is lost, in percent, over draws of the tables."""
    (side,) = sides_of(scenario)
    drawn = draws_of([side.case], DRAWS, seed=1)
    runs = (sim.run(with_values(scenario, drawn.row(number))) for number in range(DRAWS))
    return interval_of(100 * value, np.array([100 * run.points[0].lost_share for run in runs]))


rows, points, shares = [], {}, {}
for when_full in ("drop", "wait"):
    scenario = sim.load_scenario(
        "virtio-user-receive-back-pressure",
        settings={"receive.source.when_full": when_full, "traffic.packet_bytes": 64, "access": ["copy_user"]},
    )
    points[when_full] = point = sim.run(scenario).points[0]
    shares[when_full] = lost(scenario, point.lost_share)
    rows.append(
        {
            "a full queue": when_full,
            "offered, Mpps": round(point.offered_pps / 1e6, 3),
            "carried, Mpps": round(point.pps / 1e6, 3),
            "lost (%)": interval(shares[when_full]),
            "median us": round(point.latency_us["p50"], 1),
            "99 % us": round(point.latency_us["p99"], 1),
        }
    )
table(pd.DataFrame(rows))

# %%
drop, wait = points["drop"], points["wait"]
assert drop.lost_share > wait.lost_share
prose(f"""
Tail drop loses {interval(shares["drop"])} % of these bursts, back-pressure {interval(shares["wait"])} %. It costs the worker its
wake-ups of the queue, and the packets time in front of the TAP: the latencies above are those behind it. That a TAP stops its
queue is a guess: no kernel that was executed does.
""")

# %%
prose(f"""
## What this showed

- A system call per packet is what a back end in user space pays most for: {interval(small.saved_ns)} ns at 64 bytes with the
  mitigations of this CPU, {interval(unmitigated.saved_ns)} without.
- Queues with a core each add up: nothing that {PAIRS[-1]} of them share is full at 1518 bytes.
- From messages of {first} bytes on segmentation offload decides a stream; below a frame it has nothing to do.
- Back-pressure loses nothing of bursts of which tail drop loses {interval(shares["drop"])} %.

## What it cannot say

- QEMU's own work per packet, and whether and how a TAP wakes a queue that it has stopped, are guesses of a wide range.
- A packet's size follows from the message alone: a session whose ring is busy gathers no more than that.
- Streams of messages below 1 KB come out too fast: what an instruction of socket calls costs is a guess.
""")
