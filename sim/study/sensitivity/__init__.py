"""Which input moves an answer: tornado, screening, Sobol indices, break-even, shares of mechanisms."""
