"""Training a retriever on the names of a knowledge base, by SapBERT's method."""
