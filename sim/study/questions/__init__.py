"""One question and its answer: run, compare, explain, capacity, limits, ties, two CPUs, the ring of this host."""
