"""Scoring: Recall@k, protocols, slices and intervals."""
