"""Names in many languages from sources beside a knowledge base's own."""
