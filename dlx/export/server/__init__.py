"""Runs behind an address: a page, and the protocols that other programs speak."""
