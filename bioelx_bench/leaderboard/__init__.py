"""Leaderboards: run results as markdown pages."""
