"""`dlx eject`: a run's experiment as a plain script of Keras."""
