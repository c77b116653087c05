"""The test set: problems of all families and sizes with proven optima, and what a solver makes of them."""
