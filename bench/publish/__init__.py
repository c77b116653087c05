"""What `make reports` measures and publishes: runs, growth, what-ifs, solvers and profiles of every scale."""
