"""Files: results in a folder, trace events."""
