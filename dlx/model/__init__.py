"""Parts to a Keras network: building, checking, restoring it and giving it another run's weights."""
