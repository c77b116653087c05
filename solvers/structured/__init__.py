"""Exact solvers that use the structure of max-min problems: many jobs, few worker types."""
