"""The process of one `windfleet query --engine spark`. Run by `engine` in the environment of Spark.

Reads jobs (lines of JSON) from standard input, and writes events (lines of JSON) to standard
output. The first job has everything; others have tables and a pipeline, and answer where that
loads something.

    {"event": "wider", "columns": {TABLE: [[NAME, TYPE], ...]}}
                                                        the load met new columns: the next job has
                                                        tables that hold them
    {"event": "loaded"}                                 the tables hold every new object
    {"event": "rows", "file": PATH}                     rows of a statement as an Arrow stream
    {"event": "error", "stage": STAGE, "text": TEXT}    `start`, `load`, `view`: the last event;
                                                        `sql`: of a statement, others follow
    {"event": "done"}                                   of a job

The end of standard input ends the process: nothing outlives the command. Imports PySpark only.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

_UNKNOWN = "[UNKNOWN_COLUMNS]"


def main() -> None:
    """Do the job. The process does not wait for Spark's end: all state is durable by then."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(**event: Any) -> None:
        print(json.dumps(event), file=events, flush=True)

    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    job = jobs.get()
    stage = "start"
    try:
        spark = _session(job)
        before = -1
        made: list[str] = []
        while True:
            stage = "load"
            if job["tables"] != made:
                _make_tables(spark, job)
                made = job["tables"]
                prepared = False
            try:
                _load(spark, job)
            except RuntimeError as error:
                if columns := _new_columns(str(error), job):
                    emit(event="wider", columns=columns)
                    job |= jobs.get()
                    continue
                raise
            emit(event="loaded")
            now = _batches(job["storage"])
            if not prepared:
                stage = "view"
                _prepare(spark, job)
                prepared = True
            if now != before:
                stage = "sql"
                _answer(spark, job, emit)
            before = now
            emit(event="done")
            job |= jobs.get()
    except Exception as error:
        emit(event="error", stage=stage, text=str(error) or repr(error))
    os._exit(0)


def _read(jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(1)


def _watch_jvm(jvm: subprocess.Popen[bytes]) -> None:
    """End with the JVM: the client would try to reach it for ten minutes."""
    jvm.wait()
    os._exit(1)


def _session(job: dict[str, Any]) -> Any:
    """Return a session of Spark Connect with a server in this process's JVM."""
    os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = str(uuid.uuid4())
    from pyspark import SparkConf, SparkContext

    made = SparkConf(loadDefaults=False)
    made.setAll(list(job["conf"].items()))
    context: Any = SparkContext.getOrCreate(made)
    threading.Thread(target=_watch_jvm, args=(context._gateway.proc,), daemon=True).start()
    jvm = context._jvm
    for name, value in job["secrets"].items():
        context._jsc.hadoopConfiguration().set(name, value)
    if job["trust"] is not None:
        jvm.Trust.only(job["trust"])
    service = getattr(jvm, "org.apache.spark.sql.connect.service.SparkConnectService$")
    port = service.__getattr__("MODULE$").localPort()
    from pyspark.sql.connect.session import SparkSession

    return SparkSession.builder.remote(f"sc://localhost:{port}").getOrCreate()


def _load(spark: Any, job: dict[str, Any]) -> None:
    """Run the pipeline until every object that is there is loaded. Raises RuntimeError."""
    from pyspark.pipelines.spark_connect_graph_element_registry import (
        SparkConnectGraphElementRegistry,
    )
    from pyspark.pipelines.spark_connect_pipeline import create_dataflow_graph, start_run

    graph = create_dataflow_graph(spark, None, None, {})
    SparkConnectGraphElementRegistry(spark, graph).register_sql(job["pipeline"], Path("tables.sql"))
    messages = []
    try:
        for result in start_run(spark, graph, None, False, None, False, job["storage"]):
            if "pipeline_event_result" in result:
                messages.append(result["pipeline_event_result"].event.message)
    except Exception as error:
        raise RuntimeError("\n".join([*messages, str(error)])) from error


def _make_tables(spark: Any, job: dict[str, Any]) -> None:
    for name, table in zip(job["columns"], job["tables"], strict=True):
        spark.sql(f"DROP TABLE IF EXISTS `{name}`")
        spark.sql(table)


def _new_columns(text: str, job: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Return the new columns of all tables, where a load in mode `addNewColumns` met one.

    As Auto Loader, it reads the schemas of the whole micro-batch. Objects go by their names, so
    that the columns' order and types do not hang on the time.
    """
    from pyspark import SparkContext

    if _UNKNOWN not in text or "'addNewColumns'" not in job["pipeline"]:
        return {}
    context: Any = SparkContext.getOrCreate()
    jvm = context._jvm
    found: dict[str, list[list[str]]] = {}
    for table, known in job["columns"].items():
        paths = _open_batch(job["storage"], table)
        array = context._gateway.new_array(jvm.java.lang.String, len(paths))
        for i, path in enumerate(paths):
            array[i] = path
        schemas = json.loads(jvm.LakeParquet.columns(array, context._jsc.hadoopConfiguration()))
        taken = {name.lower() for name in known}
        new = []
        for name, kind in (column for columns in schemas for column in columns):
            if name.lower() not in taken:
                taken.add(name.lower())
                new.append([name, kind])
        if new:
            found[table] = new
    return found


def _open_batch(storage: str, table: str) -> list[str]:
    """Return the objects of a table's micro-batch that is not committed, sorted."""
    root = Path(storage.removeprefix("file://")) / "_checkpoints"
    paths: set[str] = set()
    for offsets in root.glob(f"**/{table}/*/offsets"):
        last = max((int(each.name) for each in offsets.glob("[0-9]*")), default=-1)
        log = offsets.parent
        if last < 0 or (log / "commits" / str(last)).exists():
            continue
        for file in (log / "sources" / "0").glob(f"{last}*"):
            if file.name in (str(last), f"{last}.compact"):
                lines = file.read_text(encoding="utf-8").splitlines()[1:]
                entries = [json.loads(line) for line in lines if line]
                paths |= {each["path"] for each in entries if each["batchId"] == last}
    return sorted(paths)


def _prepare(spark: Any, job: dict[str, Any]) -> None:
    for view in job["views"]:
        spark.sql(view)
    for name, literal in job["variables"].items():
        spark.sql(f"DECLARE OR REPLACE VARIABLE `{name}` DEFAULT {literal}")


def _answer(spark: Any, job: dict[str, Any], emit: Any) -> None:
    import pyarrow as pa

    for number, statement in enumerate(job["statements"]):
        try:
            rows = spark.sql(statement).toArrow()
        except Exception as error:
            emit(event="error", stage="sql", text=str(error) or repr(error))
            continue
        path = os.path.join(job["out"], f"{number}.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, rows.schema) as stream:
            stream.write_table(rows)
        emit(event="rows", file=path)


def _batches(storage: str) -> int:
    """Return the number of micro-batches so far."""
    root = Path(storage.removeprefix("file://"))
    return sum(1 for path in root.glob("_checkpoints/**/commits/*") if path.name[0] != ".")


if __name__ == "__main__":
    main()
