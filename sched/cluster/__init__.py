"""The cluster: worker types, nodes, GPUs, and what jobs ask of them."""
