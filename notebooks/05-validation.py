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
# # 5. Validation: where the model is right, where it is wrong, and why
#
# A model that was fitted to two numbers meets two numbers. What it is worth shows in the others.
#
# **The question:** how far are its predictions from every published figure, do the misses have causes in common, and in
# which kind of question may it be believed?
#
# The signed error of a figure is its prediction over the measurement, less one. The causes are those of the page on
# mismatches in the documentation; they are read from it, not repeated here.

# %%
import pandas as pd

from sim.report.notebook.show import chart, prose, table
from sim.report.plots.evidence import causes_figure
from sim.report.tables.validation import by_cause, count_groups, figure_text, not_modelled_lines
from sim.study.evidence.validate import RATES as OF_RATES
from sim.study.evidence.validate import TOLERANCE, validate

DRAWS = 20
RATES, SHARES = (*OF_RATES, "ratio"), ("share",)
validation = validate(draws=DRAWS)
rows = [row for row in validation.rows if row.error is not None and not row.figure.entry.is_count]


def of(*quantities):
    """Pick the figures of some quantities, best first."""
    return sorted((row for row in rows if row.figure.entry.quantity in quantities), key=lambda row: abs(row.error))


counts = [row for row in validation.rows if row.error is not None and row.figure.entry.is_count]
prose(f"""
**What there is:** {len(of(*RATES))} published rates and ratios that the model can make, {len(of(*SHARES))} shares of
profiles and {len(counts)} executed counts, {sum(row.used for row in rows)} of them used for the calibration
({validation.calibration}). A figure is *met* within {TOLERANCE:.0%}, a rate also within the spread of its source.
{len(validation.of("not modelled"))} figures are not modelled; they stand at the end.
""")

# %% [markdown]
# ## How good, in one table

# %%
table(
    pd.DataFrame(
        [
            {
                "figures": name,
                "number": summary.figures,
                **{f"within {limit} (%)": round(100 * share) for limit, share in summary.within.items()},
                "median error (%)": round(100 * summary.median_error, 1),
                "bias (%)": round(100 * summary.bias, 1),
            }
            for name, summary in validation.summaries().items()
        ]
    )
)

# %%
rates, profile = (validation.summaries()[name] for name in ("rates and ratios", "shares of a profile"))
exact = sum(row.status == "met" for row in counts)
prose(f"""
Three kinds of figures, three answers. **Rates and ratios** are met: half are within {rates.median_error:.1%}, with a
bias of {rates.bias:+.1%}, most of it from streams of short messages. **Counts** of executed instructions and barriers, which depend on no price, are met by
{exact} of {len(counts)}. **Shares of a profile** are not: half are off by more than {profile.median_error:.0%}, and too
large on average ({profile.bias:+.0%}).
""")

# %% [markdown]
# ## Well and badly predicted, side by side
#
# The best and the worst third of rates and ratios. The interval is of what would be measured: ranges of the tables, noise
# of the figure, spread between sessions.


# %%
def listed(chosen):
    """List some figures with their errors."""
    return [
        {
            "figure": row.figure.name,
            "measured": figure_text(row, row.figure.entry.value),
            "predicted": figure_text(row, row.predicted),
            "error (%)": round(100 * row.error, 1),
            "fitted": "yes" if row.used else "",
            "inside its interval": "yes" if row.inside else "no",
        }
        for row in chosen
    ]


ordered = of(*RATES)
third = len(ordered) // 3
best, worst = pd.DataFrame(listed(ordered[:third])), pd.DataFrame(listed(ordered[: -third - 1 : -1]))
side_by_side = pd.concat([best.add_prefix("well: "), worst.add_prefix("badly: ")], axis=1)
table(side_by_side[[f"{kind}: {name}" for kind in ("well", "badly") for name in ("figure", "error (%)", "fitted")]])

# %%
table(worst.drop(columns=["fitted"]))

# %% [markdown]
# ## Misses by cause
#
# Each line is a cause that the documentation names, with the figures that it explains; the last line are the figures that
# need none. Filled marks are met, hollow ones are off.

# %%
groups, unnamed = by_cause(rows)
letters = {chr(ord("A") + place): group for place, group in enumerate(groups)}
chart(
    causes_figure(
        [*((letter, found) for letter, (_, found) in letters.items()), ("no cause", unnamed)],
        "Published figures by the cause of their error",
    ),
    "Predicted over measured for every figure, a line per cause",
)


# %%
def spelled(row):
    """Name a figure with its error."""
    return f"{row.figure.name} ({row.error:+.0%})"


prose(
    "\n\n".join(
        f"**{letter}.** *{'; '.join(spelled(row) for row in found)}*: {cause.text}. Changed in the model: {cause.changed}."
        for letter, (cause, found) in letters.items()
    )
    + "\n\nNumbers *above* are those of the page that this is read from."
)

# %%
off = [row for row in rows if row.status == "off"]
unexplained = [row.figure.name for row in unnamed if row.status == "off"]
assert not unexplained, unexplained
profiles = [row for row in off if row.figure.entry.quantity in SHARES]
rest = [row for row in off if row not in profiles]
by_name = {row.figure.name: row for row in rows}
together = by_name["profile-tx/TX copies, fetch and translation"]
prose(f"""
{len(off)} figures are off, and every one has a cause. {len(profiles)} of them are shares of a profile: samples land on
other functions than those on which the model books its waits. Where such neighbours are added up, they are nearer:
{spelled(together)}. The other {len(rest)} are {"; ".join(spelled(row) for row in rest)}.
""")

# %% [markdown]
# ## Counts
#
# Counts need no price, so that they test what the datapath *does*: which instructions and barriers a packet runs through.

# %%
table(
    pd.DataFrame(
        [
            {
                "counts": name,
                "figures": len(group),
                "met": sum(row.status == "met" for row in group),
                "largest error (%)": round(100 * max((row.error for row in group), key=abs), 2),
            }
            for name, group in count_groups(validation).items()
        ]
    )
)

# %%
unmet = [row for row in counts if row.status == "off"]
differences = [row for row in unmet if row.figure.file.name == "counts-differences"]
plain = [row for row in unmet if row not in differences]
barriers = [row for row in plain if row.figure.entry.quantity != "instructions"]
worst_count, worst_barrier = (max((abs(row.error) for row in some), default=0.0) for some in (plain, barriers))
prose(f"""
Of {len(counts)} counts {len(unmet)} are off: {len(barriers)} of toggles or barriers, by {worst_barrier:.2%} at most;
{len(plain) - len(barriers)} of instructions, by {worst_count:.1%} at most; and {len(differences)} *differences* of
instructions between two builds of a kernel, of which the worst is missed altogether. The table of mismatches has the
causes: page fragments that later kernels use again, return thunks that the counts did not tell apart.
""")

# %% [markdown]
# ## Predicting what was not fitted
#
# The two rates of the first patch were used. How would the others look without any calibration, or with the first rate
# alone?

# %%
published = [row.figure.file.name for row in ordered]
fits = {"both rates (as shipped)": validation} | {
    name: validate(fit, draws=0, only=sorted(set(published)))
    for name, fit in (("the rate before", "seed-copy-user"), ("nothing", "none"))
}
after = {name: next(row for row in fold.rows if row.figure.name == "seed-vmap/A1 after") for name, fold in fits.items()}
table(
    pd.DataFrame(
        [
            {
                "fitted on": name,
                "patched rate, predicted (Mpps)": round(after[name].predicted / 1e6, 2),
                "its error (%)": round(100 * after[name].error, 1),
                "rates and ratios: median error (%)": round(100 * fold.summaries()["rates and ratios"].median_error, 1),
                "bias (%)": round(100 * fold.summaries()["rates and ratios"].bias, 1),
            }
            for name, fold in fits.items()
        ]
    )
)

# %%
alone, nothing = after["the rate before"], fits["nothing"].summaries()["rates and ratios"]
assert nothing.median_error > rates.median_error
missing = "\n".join(f"- {line}" for line in not_modelled_lines(validation))
prose(f"""
Two rates of one machine help the others, too: over all rates and ratios the median error is {rates.median_error:.1%} with them
and {nothing.median_error:.1%} without, and the bias goes from {nothing.bias:+.1%} to {rates.bias:+.1%}.

## What this showed

- Half of the published rates and ratios are predicted within {rates.median_error:.1%}, {rates.within["20%"]:.0%} of them within
  20 %. With the rate before alone, the patched one comes out at {alone.predicted / 1e6:.2f} Mpps ({alone.error:+.1%}).
- Toggles and barriers are counted right to {worst_barrier:.2%}, instructions to {worst_count:.1%}.
- Half of the shares that a profiler showed are within {profile.median_error:.0%}: windows are time of the routine that holds them.
  Sums over neighbouring functions are nearer.
- Each miss has a cause with a name. None was tuned away.

## What it cannot say

- Most rates come from one author and two Broadwell machines, at one packet size. An error that they share does not show.
- A figure inside a wide interval is no success of the model, and one outside may be a figure that its own source
  contradicts.
- The prediction that owes nothing to the two rates of the patch is off by {after["nothing"].error:+.0%} on the second of them.

## Not modelled

{missing}
""")
