"""The scenario: what it holds, how it is loaded, what is wrong with it, and its reference page."""
