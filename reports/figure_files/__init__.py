"""Figures for print, each with the table behind it and how it was made."""

from phasewise.reports.figure_files.making import make, names

__all__ = ["make", "names"]
