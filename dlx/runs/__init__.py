"""A run is a directory: reading, writing, finding and comparing runs, from their JSON alone; no numpy."""
