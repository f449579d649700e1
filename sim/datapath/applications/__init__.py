"""Applications above the ring: programs that write messages into sockets and read them, and the answers that come back.

A `sender` gathers messages into packets and hands them to the driver; a `reader` takes packets behind the worker and
acknowledges or replies; `answers` are what the worker carries the other way; `inbound` is all of it for a guest that
reads. `messages` says how many of each there are, `placing` where they stand.
"""
