"""From what the engine tells to the run directory: lines, tables, summary."""
