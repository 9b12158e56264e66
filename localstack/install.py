"""Install LocalStack's environment: a Python that it runs on, a venv, the locked packages.

    python install.py HOME             install into HOME/venv
    python install.py HOME --python    print the path of the Python that would be used

LocalStack runs on Python 3.11, 3.12 and 3.13, windfleet itself on any from 3.11 on. The Python is,
in this order: the one that runs this file, if it is one of the three; python3.13, 3.12 or 3.11 on
the PATH; one of pyenv's; one that uv fetches, from where uv gets it (a release of
python-build-standalone on GitHub, or UV_PYTHON_INSTALL_MIRROR). uv itself is installed into
HOME/uv, from the package index that pip uses.

Standard library only. Exit code 3, with a message, where something cannot be installed.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
SUPPORTED = {(3, 13): "4.14.0", (3, 12): "4.13.1", (3, 11): "4.13.1"}
"""Python -> the version of LocalStack that loads S3 on it, the preferred one first."""
PIP = ("-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install")
STAMP = ".installed"


class InstallError(Exception):
    """An installation that failed. The text names the fix."""


def version_of(python):
    """Return (major, minor) of a Python; None if it does not run."""
    program = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program],
            capture_output=True,
            encoding="ascii",
            timeout=30,
            check=True,
        )
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def own():
    """Return the interpreter behind this one, which may be that of a venv."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def found():
    """Return the first Python of this machine that LocalStack runs on; None if there is none."""
    if sys.version_info[:2] in SUPPORTED:
        return own()
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    for major, minor in SUPPORTED:
        name = f"python{major}.{minor}"
        places = [shutil.which(name)]
        places += sorted(pyenv.glob(f"versions/{major}.{minor}.*/bin/python"), reverse=True)
        for place in places:
            if place is not None and version_of(str(place)) == (major, minor):
                return os.path.realpath(place)
    return None


def fetched(home):
    """Return a Python that uv fetches. uv is installed into an environment of its own."""
    wanted = ".".join(map(str, next(iter(SUPPORTED))))
    say(f"no Python 3.11, 3.12 or 3.13 is here; fetching {wanted} by uv, this once")
    uv, pythons = home / "uv", home / "pythons"
    if not (uv / "bin" / "uv").exists():
        shutil.rmtree(uv, ignore_errors=True)
        venv.create(uv, with_pip=True)
        run([uv / "bin" / "python", *PIP, "uv"], "uv cannot be installed")
    # A stranger's uv.toml or UV_ variables may name other places; a mirror is the user's wish.
    variables = {k: v for k, v in os.environ.items() if k in KEPT or not k.startswith("UV_")}
    variables |= {"UV_PYTHON_INSTALL_DIR": str(pythons), "UV_NO_CONFIG": "1"}
    run(
        [uv / "bin" / "uv", "python", "install", "--no-bin", wanted],
        f"uv cannot fetch Python {wanted}",
        variables,
    )
    for place in sorted(pythons.glob("*/bin/python3"), reverse=True):
        if version_of(str(place)) in SUPPORTED:
            return os.path.realpath(place)
    raise InstallError(f"uv installed no Python {wanted} in {pythons}; install one by hand")


KEPT = ("UV_PYTHON_INSTALL_MIRROR", "UV_NATIVE_TLS", "UV_OFFLINE")


def run(command, failure, variables=None):
    """Run a command. Its errors go to stderr as they are."""
    done = subprocess.run([str(word) for word in command], env=variables, check=False)
    if done.returncode:
        raise InstallError(
            f"{failure} (exit code {done.returncode}, its errors are above); install Python 3.11, "
            "3.12 or 3.13, or name another store with --endpoint-url URL"
        )


def say(text):
    print(f"windfleet: {text}", file=sys.stderr, flush=True)


def install(home):
    """Make HOME/venv anew, with LocalStack in it. The stamp comes last."""
    python = found() or fetched(home)
    version = version_of(python)
    if version not in SUPPORTED:
        raise InstallError(f"{python} is no Python that LocalStack runs on")
    localstack = SUPPORTED[version]
    name = ".".join(map(str, version))
    say(f"installing LocalStack {localstack} for Python {name} into {home}, once, half a minute")
    target = home / "venv"
    shutil.rmtree(target, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    run([python, "-m", "venv", target], "no environment can be made")
    own_python = target / "bin" / "python"
    lock = HERE / "locks" / f"{localstack}.txt"
    run([own_python, *PIP, "--require-hashes", "-r", lock], "LocalStack cannot be installed")
    variables = os.environ | {
        "FILESYSTEM_ROOT": str(target / "share"),
        "OVERRIDE_IN_DOCKER": "0",
        "LS_LOG": "error",
    }
    prepare = [own_python, "-I", HERE / "launcher.py", "--prepare"]
    run(prepare, "LocalStack cannot be prepared", variables)
    (target / STAMP).touch()


def main():
    parser = argparse.ArgumentParser(description="Install LocalStack's environment.")
    parser.add_argument("home", type=pathlib.Path, metavar="HOME")
    parser.add_argument("--python", action="store_true", help="print the Python that would be used")
    arguments = parser.parse_args()
    try:
        if arguments.python:
            print(found() or "")
        else:
            install(arguments.home.absolute())
    except (InstallError, OSError) as error:
        say(str(error))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
