"""Measurements kept over commits: one file a machine, series of cases, steps, the commit of a step."""
