"""Parts of a run as one: `windfleet merge DIR...`.

| subject                                  | module    |
|------------------------------------------|-----------|
| parts that belong together, or why not   | `fit`     |
| one record of all parts, and its report  | `command` |
| a part of `windfleet verify`             | `verify`  |
"""
