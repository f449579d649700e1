"""Experiments with the running kernel that need root: writes to a TAP, and a driver in front of its vhost worker."""
