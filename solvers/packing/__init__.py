"""Jobs that share their GPUs in pairs: equal jobs as one, what pairs are worth, the program over kinds, and teams."""
