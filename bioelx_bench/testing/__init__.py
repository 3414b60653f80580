"""For plugin authors: conformance test classes for retrievers and rankers."""
