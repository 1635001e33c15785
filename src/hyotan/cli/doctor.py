"""``hyotan doctor``: what is installed."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hyotan.cli.command import command
from hyotan.cli.output import Printer, table
from hyotan.files.version import __version__

PACKAGES = ("torch", "numpy", "scikit-learn", "matplotlib", "pyarrow", "safetensors", "tensorboard")


@command()
def doctor(printer: Printer) -> None:
    """Show what is installed: versions, device, disk, data.

    Examples
    --------
    hyotan doctor
    hyotan doctor --json
    """
    import torch
    from platformdirs import user_config_path

    from hyotan.data import NAMES
    from hyotan.data.named import cache_folder
    from hyotan.estimators.build import choose_device
    from hyotan.training.products import bf16_is_slow

    gpu = "Apple GPU (mps)" if torch.backends.mps.is_available() else "CPU"
    record = {
        "python": platform.python_version(),
        "packages": {"hyotan": __version__, **{name: _version(name) for name in PACKAGES}},
        "torch_build": f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only",
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else gpu,
        "threads": torch.get_num_threads(),
        "bf16_is_slow": bf16_is_slow(choose_device("auto")),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "can_write_here": os.access(Path.cwd(), os.W_OK),
        "runs": str(Path("runs").resolve()),
        "config": str(user_config_path("hyotan") / "hyotan.toml"),
        "cache": str(cache_folder()),
        "data": os.environ.get("HYOTAN_DATA"),
    }
    rows = {
        "python": record["python"],
        **{name: found or "not installed" for name, found in record["packages"].items()},
        "torch build": record["torch_build"],
        "device": f"{record['device']}, {record['threads']} threads",
        **({"bfloat16": "slower than float32: no matrix unit"} if record["bf16_is_slow"] else {}),
        "free disk": f"{record['free_disk_gb']} GB",
        "run folders": record["runs"],
        "settings": record["config"],
        "cache": record["cache"],
        "HYOTAN_DATA": record["data"] or "not set",
        "named data": ", ".join(NAMES),
    }
    printer.result(record, table([*rows.items()]))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
