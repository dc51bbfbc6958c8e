"""The private PostgreSQL: shared by processes, serving on when one is killed, starting clean after a crash of its own."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from occ_app import database
from occ_app.config import ROOT
from occ_app.errors import NotConfiguredError

HOLD = """
import sys
from pathlib import Path
from occ_app import database
print(database.conninfo(database.private_url(Path(sys.argv[1]), "occ")), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def instance() -> Iterator[Path]:
    """An empty instance folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="occ-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def hold(instance: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that uses the private server, and the address it found."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(instance)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_it_serves_on_when_its_starter_is_killed_and_starts_clean_after_a_crash(instance: Path) -> None:
    first, address = hold(instance)
    second, same = hold(instance)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    with psycopg.connect(same) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    postmaster = int((instance / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    third, again = hold(instance)
    with psycopg.connect(again) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    for process in (second, third):
        process.communicate(timeout=60)


def occ(address: str) -> tuple[int, str]:
    """The exit code of `occ stock audit` on the database of that address, and the last line that it wrote."""
    command = [sys.executable, "-m", "occ_app.cli", "stock", "audit"]
    environment = {**os.environ, "DATABASE_URL": address}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/occ", "the database does not answer"),
        ("mysql://nobody:secret@127.0.0.1/occ", "DATABASE_URL is not the address of a PostgreSQL database"),
        ("nonsense", "DATABASE_URL is not the address of a PostgreSQL database"),
    ],
)
def test_a_wrong_address_is_told_in_a_sentence_and_without_its_password(address: str, words: str) -> None:
    code, said = occ(address)

    assert (code, words in said, "secret" in said) == (1, True, False)


def test_a_database_without_tables_says_to_migrate(instance: Path) -> None:
    first, address = hold(instance)
    code, said = occ(address)
    first.communicate(timeout=60)

    assert (code, said) == (1, "occ: the database has not all tables yet. Run `occ migrate` first.")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root would open folders")
def test_as_root_it_refuses_a_closed_folder_and_changes_nothing(instance: Path) -> None:
    closed = instance / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NotConfiguredError, match="closed to other users"):
        database.private_url(closed / "instance", "occ")

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
