"""Knowledge bases from a release of the UMLS Metathesaurus in Rich Release Format (RRF).

Source of the format: "Metathesaurus - Rich Release Format (RRF)", UMLS Reference Manual, chapter 3, U.S.
National Library of Medicine.
"""
