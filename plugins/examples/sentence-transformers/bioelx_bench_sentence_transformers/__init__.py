"""Any model of sentence-transformers as a retriever of bioelx-bench."""
