"""Measures this machine and writes a CPU profile: C programs, recordings, rules of quality. It never simulates."""
