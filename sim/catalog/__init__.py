"""`windfleet catalog`: the files that a Databricks workspace and an AWS account install.

`command` runs it. `files` lists the files with their heads; `sql`, `bundle`, `dashboard` and
`terraform` make their texts from the data of `pipeline.catalog`. `checks` holds, once, what checks
each file. `folder` puts them on disk, all or none. `ledger` prints the options of Auto Loader.

Nothing is installed: no module here connects to anything.
"""
