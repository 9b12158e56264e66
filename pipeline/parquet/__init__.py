"""Parquet files as bytes: the same rows give the same bytes, and shared columns are encoded once.

    columns    the encoder: a table of many nodes, part by part
    delta      DELTA_BINARY_PACKED
    chunk      one column of one part: pages, levels, statistics, metadata
    file       chunks put together, with a footer

A part is the rows of one file. A chunk may go into several files, since its place in a file is in
the footer only. A file has one row group and no page index. A chunk has one data page (version 1),
compressed with snappy, and statistics. Its encoding:

    64-bit integers, times      DELTA_BINARY_PACKED
    other numbers, dates        PLAIN
    texts                       RLE_DICTIONARY if they repeat, else PLAIN
    one value in all rows       RLE_DICTIONARY, but for integers
    lists of texts              PLAIN

So an encoding depends on a column's type and on the part's own rows, never on other parts.
Statistics follow the format: NaN is left out, a lowest zero is -0.0, a highest zero is 0.0.

Written by hand, because pyarrow takes 0.8 ms of CPU time for a file before its first row, and
cannot share chunks. The format: https://github.com/apache/parquet-format, `parquet.thrift` (in
Thrift's compact protocol) and `Encodings.md`. Numbers in comments are those of fields there.
"""
