"""The command line: commands, options, the boundary to the system, what is shown."""
