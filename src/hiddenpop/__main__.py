"""Run the command line as ``python -m hiddenpop``."""

from hiddenpop.cli import main

if __name__ == "__main__":
    main()
