"""Schemas of the tables: quantities with evidence, CPUs, kernels, access variants, measurements, studies."""
