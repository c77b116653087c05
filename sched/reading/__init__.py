"""Reading files strictly: rows and fields, every fault with its line, and what kind of file it is."""
