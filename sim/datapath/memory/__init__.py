"""Memory that the actors share: rings, packets, page fragments, by cache line."""
