"""The ways to put candidates to a model. Each gives evidence for candidates; `fusion` makes it a ranking."""
