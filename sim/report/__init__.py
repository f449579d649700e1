"""Tables, plots and files of what `sim.study` returns; nothing here computes a result."""
