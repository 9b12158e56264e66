"""Data sets to show: themes, the files of a data set, its pictures and its realism page."""
