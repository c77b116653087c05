"""The inflation experiment: who arrives when, what became of them, and its files."""
