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
# # 2. What if: the same patch on other hosts
#
# The patch was measured on one machine, one kernel and one packet size. A reviewer asks: *and on mine?*
#
# **The question:** how does the gain of mapped metadata (`vmap`) over `copy_user()` change with mitigations, processors,
# kernels, batches, rings and packet sizes, and where is there nothing to gain?
#
# Each answer changes one thing of the shipped scenario and leaves the rest. An interval holds nine tenths of the draws of
# all prices from their ranges; the draws are the same for both variants and in every line.

# %%
import sim
from sim.config.loading.load import load_table
from sim.config.loading.paths import names
from sim.report.notebook.frames import gain_frame
from sim.report.notebook.show import chart, prose, table
from sim.report.plots.comparisons import curves_figure, gains_figure
from sim.report.tables.evidence import interval
from sim.study.evidence.envelope import outside
from sim.study.review.alternatives import alternatives

DRAWS = 40
SCENARIO, PAIR = "virtio-user-xdp1-tap", ("copy_user", "vmap")
notes = {}


def what_if(changes):
    """Ask for the gain at 64 bytes under each change of settings."""
    asked = {name: {"traffic.packet_bytes": 64, **settings} for name, settings in changes.items()}
    answers = alternatives(SCENARIO, PAIR, asked, DRAWS)
    notes.update({answer.name: answer.notes for answer in answers if answer.notes})
    return answers


def bars(answers, title):
    """Draw the gains of some answers side by side."""
    gains = [(answer.name, answer.gain.gain_percent) for answer in answers]
    return chart(gains_figure(gains, title), f"{title}: gains in percent with 90 % intervals")


base = sim.load_scenario(SCENARIO)
prose(f"""
**The scenario:** {base.title}; {base.cpu.title}, kernel {base.kernel.name}, a ring of {base.virtqueue.size} entries, bursts
of {base.driver.burst} packets, batches of {base.device.batch}, 64-byte packets as fast as they go.
""")

# %% [markdown]
# ## Mitigations
#
# The mapping removes `stac`, `clac` and `lfence` from accesses to metadata. So it can only gain where they are executed.
# HARDENED_USERCOPY adds a size check to copies: of metadata, only used elements are written by a copy that it checks.

# %%
mitigations = what_if(
    {
        "as shipped": {},
        "SMAP off": {"mitigations.smap": False},
        "no barrier": {"mitigations.spectre_v1": False},
        "SMAP off, no barrier": {"mitigations.smap": False, "mitigations.spectre_v1": False},
        "hardened usercopy": {"mitigations.hardened_usercopy": True},
        "no retpolines": {"mitigations.retpoline": False},
    }
)
table(gain_frame(mitigations, "mitigations"))

# %%
bars(mitigations, "Gain of the mapping by mitigation")

# %%
by_name = {answer.name: answer for answer in mitigations}
neither = by_name["SMAP off, no barrier"].gain
assert abs(neither.saved_ns.value) <= neither.resolution_ns
hardened = by_name["hardened usercopy"].gain.saved_ns.value - by_name["as shipped"].gain.saved_ns.value
prose(f"""
Without SMAP the gain falls to {interval(by_name["SMAP off"].gain.gain_percent)} %, without the barrier to
{interval(by_name["no barrier"].gain.gain_percent)} %. Without either there is {neither.sentence(DRAWS)}: the
mapping is no faster than a user access, it is only free of what guards one. HARDENED_USERCOPY changes the saving by
{hardened:+.1f} ns a packet, once per batch of used elements. Retpolines cost both variants the same, so that without them
the same saving is a larger share.
""")

# %% [markdown]
# ## Processors
#
# The calibration belongs to one processor; all others stand with the ranges of their tables, which are wide. Where a table
# says that SMAP toggles do not wait for loads (Zen 5), or that there are none (before Broadwell), the gain is small.

# %%
titles = {name: load_table("cpu", name).title for name in names("cpu")}
processors = sorted(
    what_if({name: {"cpu": name} for name in titles}), key=lambda answer: -answer.gain.gain_percent.value
)
bars(processors, "Gain of the mapping by processor")

# %%
table(gain_frame(processors, "processor").assign(title=[titles[answer.name] for answer in processors]))

# %%
most, (second, least) = processors[0], processors[-2:]
unsure = [titles[answer.name] for answer in processors if not answer.gain.certain]
evidence = outside(
    [sim.load_scenario(SCENARIO, settings={"cpu": most.name, "access": list(PAIR), "traffic.packet_bytes": 64})]
)
prose(f"""
The gain goes from {interval(most.gain.gain_percent)} % ({titles[most.name]}) down to {interval(least.gain.gain_percent)} %
({titles[least.name]}). Every draw gains on all of them but: {", ".join(unsure) or "none"}. The widest intervals belong to the
tables with the fewest sources. How far they are from what was measured, the tool says with each run; for the first:
*{evidence}*.
""")

# %% [markdown]
# ## Kernels
#
# Later kernels execute other instructions around the same accesses, and copy descriptors without a call.

# %%
kernels = what_if({name: {"kernel": name} for name in ("v5.0", "v5.3", "v6.1", "v6.12", "v7.3")})
table(gain_frame(kernels, "kernel"))

# %% [markdown]
# ## Batches, bursts and rings
#
# Avail entries and descriptors are read per packet, whatever the batch. The used index is written and the flags are read
# once per batch, so the smaller the batch, the more metadata accesses a packet has to pay for. Bursts (how many packets
# the driver makes available at once) and the size of the ring decide which lines are still with the other core.

# %%
PLACES = {
    "device.batch": (1, 4, 16, 64, 256),
    "driver.burst": (1, 4, 16, 64),
    "virtqueue.size": (64, 128, 256, 512, 1024),
}


def along(key, settings=None):
    """Ask for the gain at each place of a key."""
    answers = what_if({f"{key} {place}": {**(settings or {}), key: place} for place in PLACES[key]})
    return list(zip(PLACES[key], answers, strict=True))


batches, bursts, rings = (along(key) for key in PLACES)
chart(
    curves_figure(
        {
            name: [(place, answer.gain.gain_percent) for place, answer in answers]
            for name, answers in (("batch", batches), ("burst", bursts), ("ring entries", rings))
        },
        "Gain of the mapping along batch, burst and ring",
        "packets in a batch or a burst, entries of the ring",
        "gain, %",
    ),
    "Gain in percent against batch, burst and ring size, with 90 % bands",
)

# %%
table(gain_frame([answer for answers in (batches, bursts, rings) for _, answer in answers], "setting"))

# %%
alone, full = batches[0][1], dict(batches)[base.device.batch]
small, large = rings[0][1], rings[-1][1]
burst_gains = [answer.gain.gain_percent.value for _, answer in bursts]
assert max(burst_gains) - min(burst_gains) < 1
prose(f"""
Unbatched, a packet saves {alone.gain.saved_ns.value:.0f} ns; in batches of {base.device.batch} it saves
{full.gain.saved_ns.value:.0f}, a gain of {interval(alone.gain.gain_percent)} % against {interval(full.gain.gain_percent)} %:
batching and mapping save some of the same accesses. Bursts hardly matter. A batch as long as the ring makes driver and
worker wait for each other: the packet takes longer, and the same {small.gain.saved_ns.value:.0f} ns are a smaller share of it
({small.gain.gain_percent.value:.0f} % with {rings[0][0]} entries, {large.gain.gain_percent.value:.0f} % with {rings[-1][0]}).
""")

# %% [markdown]
# ## Packet sizes
#
# What is saved does not depend on the size; what a packet takes does. Three hosts:

# %%
SIZES = (64, 256, 1024, 1518)
HOSTS = {"as shipped": {}, "SMAP off": {"mitigations.smap": False}, "AMD Zen 4": {"cpu": "zen4"}}
by_host = {}
for host, settings in HOSTS.items():
    sized = what_if({f"{host}, {size} B": {**settings, "traffic.packet_bytes": size} for size in SIZES})
    by_host[host] = list(zip(SIZES, sized, strict=True))
chart(
    curves_figure(
        {host: [(size, answer.gain.gain_percent) for size, answer in answers] for host, answers in by_host.items()},
        "Gain of the mapping by packet size",
        "packet size (bytes, without FCS)",
        "gain, %",
    ),
    "Gain in percent against packet size on three hosts, with 90 % bands",
)

# %%
shipped = [answer for _, answer in by_host["as shipped"]]
failed = [f"{name}: {note}" for name, said in notes.items() for note in said]
prose(f"""
## What this showed

- The gain needs SMAP or the barrier. With both it is {interval(by_name["as shipped"].gain.gain_percent)} %, without SMAP
  {interval(by_name["SMAP off"].gain.gain_percent)} %, without either nothing.
- It is largest where packets are smallest and batches shortest: {interval(alone.gain.gain_percent)} % unbatched,
  {interval(shipped[-1].gain.gain_percent)} % at {SIZES[-1]} bytes.
- A processor whose toggles are cheap, or missing, leaves little: {interval(second.gain.gain_percent)} % on
  {titles[second.name]}, {interval(least.gain.gain_percent)} % on {titles[least.name]}.

## What it cannot say

- Only the processor of the first line is calibrated. The others are tables of published prices and guesses: compare them
  with care, or measure yours (`vhost-sim measure`).
- One thing was changed at a time. Changes that meet on one host need a run of their own.
- Draws that the model refused are left out of the intervals: {"; ".join(failed) or "none"}.
""")
