"""The search for personal values, exact places and keys in the lake."""
