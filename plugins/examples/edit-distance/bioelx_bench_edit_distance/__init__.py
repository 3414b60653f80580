"""Edit distance for bioelx-bench: names by RapidFuzz."""
