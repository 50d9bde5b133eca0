"""Compiled programs on disk: read by the next process, harmless where they are damaged or cannot be written."""

import os
import subprocess
import sys

import jax
import pytest

from ordinal_blast.training import compilation

PROGRAM = """
import sys, jax, jax.numpy as jnp
from jax import monitoring
from ordinal_blast.training import compilation
events = []
monitoring.register_event_listener(lambda name, **_: events.append(name))
compilation.keep(sys.argv[1])
print(jax.config.jax_compilation_cache_dir)
print(float(jax.jit(lambda x: jnp.sin(x) @ x)(jnp.arange(3.0))))
print(events.count("/jax/compilation_cache/cache_hits"))
"""


def start(folder, **environment):
    """A new process that keeps programs in `folder`: a handle on what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", PROGRAM, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env={**clean, "JAX_PLATFORMS": "cpu", **environment}
    )


def output(process):
    """The folder that JAX uses, the value, and how many programs were read."""
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    place, value, read = out.splitlines()
    return place, value, int(read)


def entries(folder):
    return sorted(folder.glob("*/*-cache"))


def test_a_second_process_reads_what_the_first_compiled_and_a_cut_entry_is_compiled_anew(tmp_path):
    both = [output(process) for process in [start(tmp_path), start(tmp_path)]]
    place, value, _ = both[0]
    assert place.startswith(f"{tmp_path}/")
    assert [one[:2] for one in both] == [(place, value)] * 2
    total = len(entries(tmp_path))
    assert total > 0
    assert output(start(tmp_path)) == (place, value, total)
    for entry in entries(tmp_path):
        entry.write_bytes(entry.read_bytes()[:-40])
    assert output(start(tmp_path)) == (place, value, 0)


@pytest.mark.parametrize("environment", [{"JAX_COMPILATION_CACHE_DIR": "elsewhere"}, {"JAX_COMPILATION_CACHE_DIR": ""}])
def test_what_jax_is_told_by_its_environment_stands(tmp_path, environment):
    elsewhere = {name: value and str(tmp_path / value) for name, value in environment.items()}
    place, *_ = output(start(tmp_path / "ours", **elsewhere))
    assert place == elsewhere["JAX_COMPILATION_CACHE_DIR"]
    assert not (tmp_path / "ours").exists()


def test_nothing_is_kept_where_the_folder_is_empty_or_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("", tmp_path / "file" / "below"):
        place, value, read = output(start(folder))
        assert (place, read) == ("None", 0)
        assert float(value) == pytest.approx(0.8414709848 + 2 * 0.9092974268, rel=1e-6)


def test_the_programs_used_longest_ago_are_forgotten_first(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "_LARGEST", 250)
    (tmp_path / "machine").mkdir()
    for day, name in enumerate(["old", "middle", "new"]):
        path = tmp_path / "machine" / f"{name}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (day, day))
    compilation.forget_oldest(tmp_path)
    assert [path.name for path in entries(tmp_path)] == ["middle-cache", "new-cache"]


def test_programs_that_are_let_go_of_are_compiled_again():
    double = jax.jit(lambda x: 2 * x)
    assert float(double(3.0)) == 6
    assert double._cache_size() == 1
    compilation.forget()
    assert double._cache_size() == 0
    assert float(double(3.0)) == 6
