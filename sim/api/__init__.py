"""What `import sim` gives: the questions of the command line as functions, under the same names."""

from sim.config.answer import Answer


def _drawn(answer: Answer) -> str:
    """Draw an answer with what draws, which is imported only when a notebook shows one."""
    from sim.report.notebook.answers import html_of

    return html_of(answer)


Answer.drawn_by = _drawn
