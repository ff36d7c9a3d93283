"""Captioned photos, and the instruction data made from them. Training and evaluation share this package."""
