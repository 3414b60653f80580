"""Knowledge bases: columnar, memory-mapped folders of concepts and names."""
