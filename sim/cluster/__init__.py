"""`--cluster`: a command in parts on the workers of Dask distributed.

| subject                                                        | module         |
|----------------------------------------------------------------|----------------|
| the path of all commands, as a list of steps                   | `command`      |
| what one command does differently                              | `work`         |
| the four commands: `run`, `demo`, `campaign`, `verify`         | `run`, ...     |
| options, and those that do not fit                             | `arguments`    |
| `tcp://HOST:PORT` or `local:N`                                 | `address`      |
| Dask without the user's settings and without its log           | `library`      |
| a scheduler and workers on this machine; their program         | `local`, `server` |
| every worker, its versions, or why it is refused               | `roll_call`    |
| a worker's answer to it                                        | `worker_info`  |
| files that workers must see                                    | `shared_files` |
| the parts: sent, shown, collected, stopped                     | `parts`        |
| one part on a worker                                           | `task`         |
| windfleet in a process of its own, which ends with its parent  | `child`        |
| the record of a part on its way back; where its files stay     | `record_files`, `place` |

Not covered: TLS between the processes of Dask, and whoever else can reach its ports. Dask runs code
that it is sent, so its ports belong in a network of one's own, or behind ssh.
"""
