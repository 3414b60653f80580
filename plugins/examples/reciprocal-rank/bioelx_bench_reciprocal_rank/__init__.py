"""Mean reciprocal rank over whole lists, a metric of bioelx-bench."""
