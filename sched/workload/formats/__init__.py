"""Trace formats, a module a format: add yours here, or by an entry point of the group ``phasewise.formats``."""
