"""Write the notebooks as HTML pages that need no network: `python -m notebooks.pages FOLDER`.

Charts stand in the page itself, code is folded, and what is wider than the window scrolls in a box of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

from sim.config.loading.files import write_whole

HERE = Path(__file__).resolve().parent

_TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_css -%}
{{ super() }}
<style>
body { max-width: 60rem; margin: 0 auto; }
.jp-Cell .jp-RenderedMarkdown { max-width: 50rem; padding-left: 0.3rem; }
.jp-RenderedSVG svg { width: 100%; max-width: 40rem; height: auto; background: #fff; }
.jp-OutputArea-child { display: block; }
.jp-OutputArea-output { display: block; overflow-x: auto; }
details.code > summary { color: #6c7a89; cursor: pointer; font-size: 85%; padding: 0.2rem 0.4rem; }
</style>
{%- endblock html_head_css -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block input_group -%}
<details class="code"><summary>code</summary>
{{ super() }}
</details>
{%- endblock input_group -%}
{%- block data_svg -%}
<div class="jp-RenderedSVG jp-OutputArea-output">{{ output.data['image/svg+xml'] }}</div>
{%- endblock data_svg -%}
"""


def page(notebook: nbformat.NotebookNode, title: str) -> str:
    """Return a notebook as one HTML page that fetches nothing."""
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"page.html.j2": _TEMPLATE})],
        template_file="page.html.j2",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    made: str = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})[0]
    return made


def main(folder: Path) -> None:
    """Write a page for each notebook that is kept."""
    for file in sorted(HERE.glob("*.ipynb")):
        write_whole(folder / f"{file.stem}.html", page(nbformat.read(file, as_version=4), file.stem))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
