"""The tool that reads pages takes no block for another, and finds what a page shows and a command does not print."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT, Block, Command, blocks, differs
from tests.docs.rewrite import rewritten

PAGE = """# Title

```console
$ vhost-sim run x   # a comment
$ vhost-sim run y   # exit 2
```

```text
out
```

```yaml
# mine/cpus/a.yaml
schema: 1
```

```python
print(1)
```
"""


def test_blocks_of_every_kind():
    assert blocks(PAGE) == [
        Block(3, (Command("vhost-sim run x   # a comment"), Command("vhost-sim run y   # exit 2", 2)), "out\n"),
        Block(12, file="mine/cpus/a.yaml", text="# mine/cpus/a.yaml\nschema: 1\n"),
        Block(17, python=True, text="print(1)\n"),
    ]


@pytest.mark.parametrize(
    "block",
    [
        "```\nx\n```\n",
        "```yaml\na: 1\n```\n",
        "```text\nalone\n```\n",
        "```console\nno dollar\n```\n",
        "```sh\n$ ls\n```\n",
    ],
)
def test_a_block_that_would_be_skipped_is_refused(block):
    with pytest.raises(ValueError, match="line 1: "):
        blocks(block)


@pytest.mark.parametrize(
    ("shown", "printed", "wrong"),
    [
        ("a\nb", "a  \nb\n\n", None),
        ("a\nb", "a\nc", "b"),
        ("a", "a\nb", "(end; printed: b)"),
        ("...\nb", "x\na\nb", None),
        ("a\n...", "a\nb\nc", None),
        ("a\n...\nc", "a\nb\nb\nc", None),
        ("a\n... (more)\nd", "a\nb\nc", "d"),
        ("b\n...\na", "a\nb", "b"),
        ("a\n...\n\nc", "a\n\nb\n\nc", None),
        ("a\n ...\nc", "a\nb\nb\nc", None),
        ("vmap gains ...", "vmap gains 21 %", None),
        ("vmap gains ...", "vmap loses 21 %", "vmap gains ..."),
        ("a\nb", "", "a"),
        ("a long title\nb", "a long\ntitle\nb", None),
        ("a long title\nb", "a long\nb", "a long title"),
    ],
)
def test_output_is_compared_line_by_line(shown, printed, wrong):
    assert differs(shown, printed) == wrong


SHOWN = """size    Mpps
  64   5.000
...
total  200.0 cycles
answer: 64 B ...
"""
PRINTED = """size    Mpps
  64   5.125
 128   4.875
waits    1.0 cycles
total  195.1 cycles
answer: 64 B at 5.125 Mpps
end
"""


def test_an_output_is_rewritten_in_the_shape_that_the_page_has():
    new = rewritten(SHOWN, PRINTED)
    assert new == SHOWN.replace("5.000", "5.125").replace("200.0", "195.1")
    assert differs(new + "...", PRINTED) is None


def test_no_equation_has_what_is_not_drawn():
    """The converter of equations writes the signs of an environment between the terms, on one line."""
    pages = {page: page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md")}
    equations = [(page.name, one) for page, text in pages.items() for one in re.findall(r"\$\$(.+?)\$\$", text, re.S)]
    assert len(equations) > 10
    assert [one for one in equations if "&" in one[1] or r"\begin" in one[1]] == []
