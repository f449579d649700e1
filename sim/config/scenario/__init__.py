"""Schema of a scenario: one question, fully stated, section by section."""
