"""What is left on every node, and placing tasks there by a rule: compiled, or with NumPy alone."""
