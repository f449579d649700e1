"""Questions that take several runs: many Scenarios in, tidy tables out."""
