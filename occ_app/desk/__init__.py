"""The desk: what is true, what needs a person, what happened. Pages and their words; it decides nothing itself."""
