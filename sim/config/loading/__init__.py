"""From a file to a validated table: YAML, `extends`, overrides, search paths."""
