"""The performance gate: this tree against a base commit, in live worker pairs, by CPU time and by work done."""
