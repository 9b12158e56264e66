"""Demo data sets: themes, the files of a data set, its pictures and its realism page."""
