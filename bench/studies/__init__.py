"""Studies: series of runs, each summed up in one Markdown table."""
