"""A shop's life under bad luck: seeded, reproducible, shrunk when it fails, told as a story. `make simulate SEEDS=n` runs any number."""
