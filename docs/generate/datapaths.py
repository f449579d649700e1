"""A page for each shipped scenario: its rows as `vhost-sim explain` has them, and their picture."""

from __future__ import annotations

from generate.markdown import code, page, plain, said, table
from sim.config import Scenario, load_scenario
from sim.config.loading import paths
from sim.config.loading.paths import FOLDERS
from sim.datapath import Plan, build_plan
from sim.datapath.plan.step import Row
from sim.report.plots.picture import picture, shown_rows
from sim.report.tables.explained import executes


def datapath_pages() -> dict[str, str]:
    """Return the pages of all scenarios, by their place below `reference`, and the page that lists them."""
    scenarios = {name: load_scenario(name) for name in sorted(paths.names("scenario"))}
    listed = (
        (f"[{name}](scenarios/{name}.md)", said(scenario.title), code(scenario.kernel.name), code(scenario.cpu.name))
        for name, scenario in scenarios.items()
    )
    about = "The shipped scenarios with their rows and pictures. `vhost-sim explain NAME` prints the rows with numbers."
    index = page("Scenarios", about, table(("scenario", "what", "kernel", "CPU"), listed))
    return {"scenarios.md": index, **{f"scenarios/{name}.md": _page(scenario) for name, scenario in scenarios.items()}}


def plan_of(scenario: Scenario, access: str) -> Plan:
    """Return the plan of a variant at the scenario's first packet size, every row on its own."""
    return build_plan(scenario, access, scenario.traffic.sizes[0], apart=True)


def drawn(scenario: str, access: str) -> str:
    """Return the picture of a scenario under an access variant, for a page."""
    return f'<figure class="picture" markdown="0">\n{picture(plan_of(load_scenario(scenario), access))}\n</figure>\n'


def _page(scenario: Scenario) -> str:
    access = scenario.access[0].name
    plan, kernel = plan_of(scenario, access), scenario.kernel
    about = (
        f"{said(scenario.title)}. {kernel.kind.capitalize()} "
        f"[{kernel.name}](../{FOLDERS[kernel.kind]}/{kernel.name}.md), CPU "
        f"[{scenario.cpu.name}](../cpus/{scenario.cpu.name}.md), access variants "
        + ", ".join(f"[{variant.name}](../access.md#{variant.name})" for variant in scenario.access)
        + f". Source: {plain(scenario.source) or 'the defaults of the keys'}."
    )
    parts = [
        f"The rows of {code(access)} at {plan.packet_bytes} bytes. In the picture an arrow is one access.\n",
        drawn(scenario.name, access),
    ]
    for actor in dict.fromkeys(row.actor for row in shown_rows(plan)):
        rows = [_cells(row) for row in shown_rows(plan) if row.actor == actor]
        parts += [
            f"## {actor.capitalize()}\n",
            table(("step, function", "per", "access", "executes"), rows),
        ]
    return page(scenario.name, about, *parts)


def _cells(row: Row) -> tuple[str, ...]:
    access = row.access or row.payload_access
    line = "" if access is None else f"{'write' if access.write else 'read'} {access.region}"
    scopes = plain(", ".join(row.scopes).replace("_", " "))
    where = "<br>".join(part for part in (plain(line), code(row.accessor or "")) if part)
    return f"{said(row.title)}<br>{code(row.function)}", scopes, where, plain(executes(row))
