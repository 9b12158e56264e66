"""Tests of windfleet. README.md beside this file lists the levels and their proofs."""
