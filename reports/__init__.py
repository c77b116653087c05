"""Read run directories; write tables and HTML. Imports no engine and no solver."""
