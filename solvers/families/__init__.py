"""One module a family of problems: the only code that knows what such a problem is made of. Found by the registry."""
