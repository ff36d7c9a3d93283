"""Published protocols, run through the same Assistant as the app."""
