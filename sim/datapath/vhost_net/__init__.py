"""The worker of vhost_net, step by step."""
