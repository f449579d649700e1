"""Sweeps: the design of points, their runs on any executor, rows on disk."""
