"""What surrounds the worker on the host: interference, several queues, sink and source of packets."""
