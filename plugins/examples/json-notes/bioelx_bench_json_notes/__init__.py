"""A dataset of one own JSON format for bioelx-bench."""
