"""Solver backends, one file a way of solving."""
