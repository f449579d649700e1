"""A design review: all that is asked of one question, and the sentences that answer it."""
