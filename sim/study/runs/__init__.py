"""Runs of many cases: a case by its key, other values in its tables, a pool of workers."""
