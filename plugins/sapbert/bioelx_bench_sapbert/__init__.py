"""SapBERT and alias-enriched SapBERT retrieval and training for bioelx-bench."""
