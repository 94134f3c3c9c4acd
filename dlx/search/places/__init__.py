"""Where trainings run: a module for each kind of place, with what a `sweep.Place` is asked."""
