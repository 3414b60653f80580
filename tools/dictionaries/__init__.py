"""Bilingual dictionaries as a source of aliases: what the names of the embedded adapter were made with."""
