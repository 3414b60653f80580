"""Any CrossEncoder of sentence-transformers as a ranker of bioelx-bench."""
