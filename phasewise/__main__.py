"""`python -m phasewise`: the command."""

from phasewise.bench.cli.main import main

if __name__ == "__main__":
    main()
