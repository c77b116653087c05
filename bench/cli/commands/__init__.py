"""The commands of `phasewise`, one file each; every module has a `command`, named like the module."""
