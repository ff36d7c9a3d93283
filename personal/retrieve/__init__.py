"""Retrieve: find which remembered concepts a photo or a question concerns."""
