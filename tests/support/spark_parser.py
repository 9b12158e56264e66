"""Spark's own parser for SQL texts: `problems` checks many in one JVM, in 3 s of CPU.

`python -m tests.support.spark_parser FILE...` prints one line per statement that Spark refuses, and
exits with 1 where there is one. A statement ends with `;` at the end of a line.

It proves that open Spark knows the statement's form. Not covered: names, types and options, which
the parser takes as they come; and what is Databricks' own (`OR REFRESH`, external locations,
grants), which open Spark refuses.

Run by itself, the file is the child in Spark's environment: JSON lists in and out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def problems(statements: Sequence[str]) -> list[str]:
    """Return for each statement Spark's complaint as one line, "" where Spark can parse it.

    Needs `make spark`; raises QueryError without. A statement may end with `;`.
    """
    from sim.query.spark import home

    found = home.find()
    done = subprocess.run(
        [str(found.python), "-I", __file__],
        input=json.dumps(list(statements)),
        capture_output=True,
        text=True,
        env={"PATH": f"{found.java}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[str] = json.loads(done.stdout)
    return [_line(text) for text in answers]


def _line(text: str) -> str:
    return " ".join(text.partition("== SQL")[0].split())


def _child() -> None:
    """Parse in a JVM of classes only: no session, no server but the one of py4j on 127.0.0.1."""
    import py4j.java_gateway as py4j
    import pyspark
    from py4j.protocol import Py4JJavaError

    gateway = py4j.JavaGateway.launch_gateway(
        classpath=f"{os.path.dirname(pyspark.__file__)}/jars/*",
        javaopts=["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        die_on_exit=True,
        enable_auth=True,
    )
    parser = gateway.jvm.org.apache.spark.sql.execution.SparkSqlParser()
    answers = []
    for statement in json.load(sys.stdin):
        try:
            parser.parsePlan(statement)
            answers.append("")
        except Py4JJavaError as error:
            answers.append(error.java_exception.getMessage() or str(error))
    print(json.dumps(answers))
    gateway.shutdown()


def main(files: Sequence[str]) -> int:
    """Print the complaints about files of statements."""
    found = [
        (file, statement.strip())
        for file in files
        for statement in re.split(r";[ \t]*(?:\n|$)", Path(file).read_text(encoding="utf-8"))
        if re.sub(r"(?m)^\s*--.*$", "", statement).strip()
    ]
    bad = 0
    for (file, statement), text in zip(found, problems([each for _, each in found]), strict=True):
        if text:
            bad += 1
            print(f"{file}: {' '.join(statement.split())[:60]}: {text}")
    print(f"{len(found)} statements, {bad} refused", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        _child()
    else:
        sys.exit(main(sys.argv[1:]))
