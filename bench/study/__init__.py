"""Studies: many runs of one scenario, what became of each, and the figures that they are made for."""
