"""Model in, findings out: what differs, whether it matters to a model, and how bad that is."""
