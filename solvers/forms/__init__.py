"""How problems of a family are written down for a solver: one module a family and form, found by `tables`."""
