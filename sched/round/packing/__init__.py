"""Teams: two jobs that share their GPUs, from their admission to the end of a round."""
