"""One training: begun, stopped, continued, and the run directory that it leaves."""
