"""Parts of a run as one: `windfleet merge DIR...`.

| subject                                  | module     |
|------------------------------------------|------------|
| parts that belong together, or why not   | `fit`      |
| one record of all parts, and its report  | `command`  |
| one result of all parts of a campaign    | `campaign` |
| one data set of all its parts            | `demo`     |
| a part of `windfleet verify`             | `verify`   |
"""
