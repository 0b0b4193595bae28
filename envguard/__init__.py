"""Will this model give the same answers in that environment?"""

__version__ = "0.1.0"
