"""The simulation: workload, policies, priorities, placement, progress."""
