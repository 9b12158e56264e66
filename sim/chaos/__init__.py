"""Faults of delivery: as data (`faults`), at the store's seam (`faulty`), on the wire (`proxy`), and proved (`campaign`).

The lake must not show any of them: its digest after the drain is that of the run without faults.
"""
