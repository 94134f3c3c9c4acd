"""`python -m dlx`."""

from dlx.cli import main

if __name__ == "__main__":
    main()
