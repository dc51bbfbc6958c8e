"""`python -m occ_app.cli`: the console script without an installation."""

import os

from occ_app.cli import main

if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
