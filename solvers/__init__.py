"""State allocation problems, solve them, check the answers. Knows nothing of simulation."""
