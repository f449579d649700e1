"""The simulated execution, moment by moment."""
