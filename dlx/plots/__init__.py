"""Pictures, a kind of picture a module: each keeps its data and its figure together."""
