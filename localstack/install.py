"""Install LocalStack's environment: a Python that it runs on, a venv, the locked packages.

    python install.py HOME             install into HOME/venv
    python install.py HOME --python    print the path of the Python that would be used

LocalStack runs on Python 3.11, 3.12 and 3.13, windfleet itself on any from 3.11 on. The Python is,
in this order: the one that runs this file, if it is one of the three; python3.13, 3.12 or 3.11 on
the PATH; one of pyenv's; one that uv fetches, from where uv gets it (a release of
python-build-standalone on GitHub, or UV_PYTHON_INSTALL_MIRROR). uv itself is installed into
HOME/uv, from the package index that pip uses. All packages are those of locks/, by their hashes.

One installer at a time works in HOME, and the programs that it runs hold its lock, too, should it
be killed. An environment is made in a temporary folder beside its place and moved there when it
is whole. One that is there, of the same lock and Python, is left alone.

Standard library only. Exit code 3, with a message, where something cannot be installed.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SUPPORTED = {(3, 13): "4.14.0", (3, 12): "4.13.1", (3, 11): "4.13.1"}
"""Python -> the version of LocalStack that loads S3 on it, the preferred one first."""
PIP = ("-I", "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install")
STAMP = ".installed"
"""Names lock and Python of an environment that is whole."""
LOCK_FILE = ".installing"


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
    environment(uv, own(), HERE / "locks" / "uv.txt", "uv")
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


held = []
"""The open lock file: a program that outlives its installer keeps others out."""
KEPT = (
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS_JSON_URL",
    "UV_PYTHON_DOWNLOADS",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
)


def run(command, failure, variables=None):
    """Run a command. Its errors go to stderr as they are."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=variables, check=False, pass_fds=held)
    if done.returncode:
        raise InstallError(
            f"{failure} (exit code {done.returncode}, its errors are above); install Python 3.11, "
            "3.12 or 3.13, or name another store with --endpoint-url URL"
        )


def say(text):
    print(f"windfleet: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone(home):
    """Keep other installers out of HOME for the block, and wait for one that is at work."""
    home.mkdir(parents=True, exist_ok=True)
    file = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{home}: another installer is at work here; waiting for its end")
            fcntl.flock(file, fcntl.LOCK_EX)
        held[:] = [file]
        yield
    finally:
        held.clear()
        os.close(file)


def environment(target, python, lock, name, finish=lambda folder: None):
    """Make a venv with the packages of a lock, unless it is there.

    name: what it is for, in messages. finish: completes the new folder before it gets its place.
    """
    key = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {python} {full_version_of(python)}\n"
    stamp = target / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key:
        return
    say(f"installing {name} into {target.parent}, once, half a minute")
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    new = pathlib.Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        run([python, "-I", "-m", "venv", new], f"no environment can be made for {name}")
        install = [new / "bin" / "python", *PIP, "--require-hashes", "-r", lock]
        run(install, f"{name} cannot be installed")
        finish(new)
        rename_inside(new, target)
        (new / STAMP).write_text(key, encoding="utf-8")
        new.chmod(0o755)
        replace(target, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def full_version_of(python):
    """Return the version of a Python as it says itself; empty if it does not run."""
    done = subprocess.run([python, "-VV"], capture_output=True, encoding="utf-8", check=False)
    return " ".join(done.stdout.split())


def rename_inside(new, target):
    """Let the scripts of a venv name its later place."""
    for path in [*(new / "bin").iterdir(), new / "pyvenv.cfg"]:
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes()
            if text.startswith(b"#!") or path.suffix == ".cfg" or path.name.startswith("activate"):
                path.write_bytes(text.replace(bytes(new), bytes(target)))


def replace(target, new):
    """Put a folder in the place of another one, which may not be there."""
    old = pathlib.Path(f"{new}.old")
    if target.is_symlink():
        target.unlink()
    elif target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def install(home):
    """Make HOME/venv, with LocalStack in it."""
    python = found() or fetched(home)
    version = version_of(python)
    if version not in SUPPORTED:
        raise InstallError(f"{python} is no Python that LocalStack runs on")
    localstack = SUPPORTED[version]
    name = ".".join(map(str, version))
    lock = HERE / "locks" / f"{localstack}.txt"
    environment(home / "venv", python, lock, f"LocalStack {localstack} for Python {name}", prepare)


def prepare(folder):
    """Build the index of service specs, once."""
    variables = os.environ | {
        "FILESYSTEM_ROOT": str(folder / "share"),
        "OVERRIDE_IN_DOCKER": "0",
        "LS_LOG": "error",
    }
    program = [folder / "bin" / "python", "-I", HERE / "launcher.py", "--prepare"]
    run(program, "LocalStack cannot be prepared", variables)


def main():
    parser = argparse.ArgumentParser(description="Install LocalStack's environment.")
    parser.add_argument("home", type=pathlib.Path, metavar="HOME")
    parser.add_argument("--python", action="store_true", help="print the Python that would be used")
    arguments = parser.parse_args()
    try:
        if arguments.python:
            print(found() or "")
        else:
            home = arguments.home.absolute()
            with alone(home):
                install(home)
    except (InstallError, OSError) as error:
        say(str(error))
        return 3
    except KeyboardInterrupt:
        say("interrupted; nothing was installed")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
