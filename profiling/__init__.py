"""Measure: phase timers, line records, tables, samplers. Knows nothing of jobs or solvers."""
