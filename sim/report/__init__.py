"""Tables, plots, files and pages of what `sim.study` returns; nothing here computes a result.

By medium, each of which may import those before it: `tables`, `plots`, `export`, `page`, `notebook`.
"""
