"""The application as a whole. Its version, here alone, is shown wherever one is."""

__version__ = "1.0.0"
