"""Compiles `native/` into the package where there is a C++ compiler; without one it is the same package, and slower."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "ordinal_blast/models/compiled/native_kernels.so"  # no module: what walks the package must not import it
KERNELS = ("kernels", "dense", "norm")  # compiled once for each width of vectors
HANDLERS = ("handlers", "dense_handlers", "norm_handlers")
X86 = {"128": [], "256": ["-mavx2", "-mfma"], "512": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma"]}


class NativeKernels(BuildHookInterface):
    """Builds the shared library for wheels and editable installs; the wheel then bears the tag of this platform."""

    def dependencies(self) -> list[str]:
        """JAX has the headers of XLA's functions."""
        return ["jax>=0.10,<0.13"] if _compiler() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or say in one line why not."""
        if self.target_name != "wheel":
            return
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        library.parent.mkdir(exist_ok=True)
        problem = _build(Path(self.root, "native"), library)
        if problem:
            self.app.display_warning(
                f"ordinal_blast is installed without its native kernels, XLA does their work: {problem}"
            )
            return
        self.app.display_info("ordinal_blast is installed with its native kernels")
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        # No file of the interpreter is needed: any Python 3 of this platform loads the library.
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _compiler() -> list[str] | None:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    return next(([path] for name in names if (path := shutil.which(name))), None)


def _build(sources: Path, library: Path) -> str | None:
    """Compile the library; the reason where that cannot be."""
    compiler = _compiler()
    if platform.system() not in ("Linux", "Darwin"):
        return f"they are not built on {platform.system()}"
    if not compiler:
        return "no C++ compiler was found"
    try:
        from jax import ffi
    except ImportError as error:
        return f"JAX with its headers was not found ({error})"
    flags = [*compiler, "-std=c++17", "-O3", "-fPIC", "-fvisibility-inlines-hidden", "-w"]
    widths = X86 if platform.machine() in ("x86_64", "AMD64") else {"128": []}
    with tempfile.TemporaryDirectory() as folder:
        units = [(name, bits, [f"-DBITS={bits}", *options]) for name in KERNELS for bits, options in widths.items()]
        units += [(name, "", [f"-I{ffi.include_dir()}"]) for name in HANDLERS]
        objects = [f"{folder}/{name}{bits}.o" for name, bits, _ in units]
        steps = [
            [*flags, *options, "-c", f"{sources}/{name}.cc", "-o", file]
            for (name, _, options), file in zip(units, objects, strict=True)
        ]
        steps.append([*compiler, "-shared", *objects, "-pthread", "-o", f"{folder}/library"])
        for step in steps:
            run = subprocess.run(step, capture_output=True, text=True)
            if run.returncode:
                lines = [line for line in run.stderr.splitlines() if "error" in line] or [f"exit code {run.returncode}"]
                return f"{step[0]} failed: {lines[0]}"
        shutil.copyfile(f"{folder}/library", library)
    return None
