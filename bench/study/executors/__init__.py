"""Where the points of a study are done: in processes here, or as tasks of a SLURM cluster."""
