"""Ranking with any LLM for bioelx-bench through LiteLLM."""
