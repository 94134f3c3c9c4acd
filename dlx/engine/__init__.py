"""The compiled training loop: plan, fit and streaming; one file a backend compiles it."""
