"""How results are shown: plain text for people, JSON for programs. Values in, text out."""
