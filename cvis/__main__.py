"""``python -m cvis``: the command."""

import sys

from cvis.cli import main

if __name__ == "__main__":
    sys.argv[0] = "cvis"
    main()
