"""Devices that compete with vhost_net, step by step."""
