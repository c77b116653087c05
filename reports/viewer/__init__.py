"""The run viewer: one page that shows who held which GPU in every round of a run, or of two side by side."""
