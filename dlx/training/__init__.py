"""One training: begun, stopped, gone on with, and the run directory that it leaves."""
