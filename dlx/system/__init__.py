"""The machine: files, locks, signals, the backend and its device, the terminal. Knows nothing of experiments."""
