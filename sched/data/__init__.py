"""Tables of published figures, each with its source and licence."""
