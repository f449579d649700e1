"""The model held against what was read in source and counted on real kernels."""
