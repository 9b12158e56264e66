"""Tests of windfleet. See README.md beside this file for what each level proves."""
