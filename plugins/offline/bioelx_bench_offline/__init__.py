"""Embedded models for bioelx-bench on machines without a model hub."""
