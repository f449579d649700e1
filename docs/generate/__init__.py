"""The pages of the reference, written from schema, tables, rows and commands as they are."""
