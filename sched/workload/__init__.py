"""Where jobs come from: traces, generators, throughput tables."""
