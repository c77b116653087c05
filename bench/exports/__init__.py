"""What was measured, in the formats of other tools: a run, a record of the gate, results of the suite."""
