"""Which training comes next, and where it runs."""
