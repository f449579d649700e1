"""A page in a cell: one server per process, a scenario by name or loaded, and an end with the process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import sim
from sim.config.errors import ConfigError

CELLS = """
import json, urllib.request
import sim
from urllib.parse import urlsplit

first = sim.explore("virtio-user-xdp1-tap", draws=2)
loaded = sim.load_scenario("virtio-user-receive-skb", overrides=["kernel=v6.12", "traffic.packet_bytes=64"])
second = sim.explore(loaded)
forms = second._repr_mimebundle_()
def got(address, file=""):
    parts = urlsplit(address)
    return urllib.request.urlopen(parts._replace(path=parts.path + file).geturl()).read().decode()
print(json.dumps({
    "addresses": [first.address, second.address],
    "title": "<title>vhost-sim explore</title>" in got(first.address),
    "scenario": got(second.address, "scenario.yaml"),
    "forms": forms,
}))
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    done = subprocess.run(
        [sys.executable, "-c", CELLS], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def test_all_cells_of_a_notebook_share_one_server(cells):
    first, second = (address.partition("?")[0] for address in cells["addresses"])
    assert first == second
    assert first.startswith("http://127.0.0.1:")
    assert cells["title"]


def test_a_loaded_scenario_is_asked_as_it_was_loaded(cells, tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(cells["scenario"], encoding="utf-8")
    overrides = ["kernel=v6.12", "traffic.packet_bytes=64"]
    assert sim.load_scenario(file) == sim.load_scenario("virtio-user-receive-skb", overrides=overrides)


def test_a_cell_shows_the_page_and_says_when_it_cannot(cells):
    address = cells["addresses"][1].replace("&", "&amp;")
    assert f'<iframe src="{address}" title="what if"' in cells["forms"]["text/html"]
    assert "another machine than the kernel" in cells["forms"]["text/html"]
    assert cells["forms"]["text/plain"] == cells["addresses"][1]


def test_what_cannot_be_asked_is_refused_before_anything_is_served():
    with pytest.raises(ConfigError, match="unknown scenario 'nowhere'"):
        sim.explore("nowhere")
    with pytest.raises(ConfigError, match=r"draws: at least 1 draw is needed \(got 0\)"):
        sim.explore(draws=0)


@pytest.mark.deep
def test_a_cell_of_a_running_notebook_shows_the_page(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    reads = "import urllib.request\nprint('vhost-sim explore' in urllib.request.urlopen(page.address).read().decode())"
    answers = (
        "from urllib.parse import urlsplit\nparts = urlsplit(page.address)\n"
        "rates = parts._replace(path=parts.path + 'rates.csv').geturl()\n"
        "print(urllib.request.urlopen(rates).read().decode().count('copy_user,64,'))"
    )
    sources = ["import sim\npage = sim.explore(draws=2)\npage", reads, answers]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    kernel = {"display_name": "this Python", "language": "python", "name": "python3"}
    notebook.metadata["kernelspec"] = kernel
    nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (shown,), *printed = (cell.outputs for cell in notebook.cells)
    assert '<iframe src="http://127.0.0.1:' in shown.data["text/html"]
    assert [output.text for (output,) in printed] == ["True\n", "1\n"]
