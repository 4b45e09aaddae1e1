"""`python -m xstilts`: the command line."""

from xstilts.cli import main

if __name__ == "__main__":
    main()
