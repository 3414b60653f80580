"""TF-IDF over character n-grams for bioelx-bench: the baseline to beat."""
