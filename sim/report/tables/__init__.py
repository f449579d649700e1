"""Tables for terminal, CSV and Markdown."""
