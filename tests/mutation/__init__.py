"""Mutation tests: does a test notice when a line of the model is changed? (docs/testing.md)"""
