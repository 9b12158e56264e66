"""The search for personal values, exact coordinates and keys in the lake."""
