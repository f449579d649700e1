"""Hostile input, drawn by number: whatever is read gives an answer, or one clean line."""
