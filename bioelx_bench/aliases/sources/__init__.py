"""The built-in sources of aliases."""
