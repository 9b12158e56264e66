"""Turbines and their sensors."""
