"""What ring features and access variants change in the steps of handlers and drivers."""
