"""`windfleet run --cluster`: a run in parts on the workers of Dask distributed.

| subject                                                        | module         |
|----------------------------------------------------------------|----------------|
| the whole run as a list of steps                               | `command`      |
| options, and those that do not fit                             | `arguments`    |
| `tcp://HOST:PORT` or `local:N`                                 | `address`      |
| Dask without the user's settings and without its log           | `library`      |
| a scheduler and workers on this machine; their program         | `local`, `server` |
| every worker, its versions, or why it is refused               | `roll_call`    |
| a worker's answer to it                                        | `presence`     |
| the parts: sent, shown, collected, stopped                     | `parts`        |
| one part on a worker                                           | `task`         |
| windfleet in a process of its own, which ends with its parent  | `child`        |
| the record of a part on its way back                           | `record_files` |

Not covered: TLS between the processes of Dask, and whoever else can reach its ports. Dask runs code
that it is sent, so its ports belong in a network of one's own, or behind ssh.
"""
