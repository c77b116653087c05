"""What a run leaves behind: lines, sinks, tables."""
