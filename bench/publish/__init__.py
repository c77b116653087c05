"""What `make reports` measures and publishes: runs, growth, solvers and profiles of both scales."""
