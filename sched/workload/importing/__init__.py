"""Workloads of other origin: what a row says, reading files of any size, and the columnar form they all become."""
