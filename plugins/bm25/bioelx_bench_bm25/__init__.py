"""BM25 retrieval for bioelx-bench through Pyserini and Lucene."""
