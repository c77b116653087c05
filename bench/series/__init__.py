"""Series of runs that measure one thing, each summed up in one Markdown table; `bench.study` is for figures."""
