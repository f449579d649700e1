"""A page on this machine that answers "what if" while somebody moves its controls."""
