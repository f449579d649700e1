"""Questions that take several runs: many Scenarios in, tidy tables out.

Each room answers one kind of question, and imports only from those before it:

`runs` (cases, and how many of them are run), `questions` (one question, one answer), `uncertainty` (draws and
intervals), `sweep` (many points), `sensitivity` (which input moves an answer), `evidence` (published figures),
`timeline` (one run moment by moment), `review` (a whole design review). `catalogue` lists and checks
tables, with runs and questions.
"""
