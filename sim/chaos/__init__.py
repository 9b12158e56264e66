"""Faults of delivery: as data (`faults`), at the store's seam, on the wire, and proved by campaigns.

The lake must not show any of them: its digest after the drain is that of the run without faults.
"""
