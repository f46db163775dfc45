"""Measure identity on public sets: `python -m tests.benchmarks.identity_public_sets [name ...] [--keep FOLDER]`.

Makes a project of YAML files from every set in the folder CRM_QUALITY_REAL_DATA, runs it as a user would, and prints
one line per set; with --keep the projects stay, to look into. Not part of the tests. Belongs here: running and
printing. Does not: the sets, assertions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crm_quality.evaluate import evaluate
from tests.benchmarks.public_sets import PUBLIC_SETS, PublicSet, make_project


def measure(public: PublicSet, data: Path, folder: Path) -> str:
    """Run one set; returns its line of the table."""
    truth = make_project(public, data, folder)
    start = time.perf_counter()
    command = [sys.executable, "-m", "crm_quality", "run", "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    published = folder / "published" / "golden.duckdb"
    if not published.exists():
        return f"{public.name:<16} not published\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    found = evaluate(published, truth).overall
    return (
        f"{public.name:<16} {found.pairwise_f1:8.4f} {found.pairwise_precision:9.4f} {found.pairwise_recall:8.4f}"
        f" {found.b_cubed_f1:8.4f} {found.records:8} {seconds:8.0f}"
    )


def main(names: list[str], keep: Path | None) -> None:
    """Print the table for the named sets, or for all."""
    data = Path(os.environ["CRM_QUALITY_REAL_DATA"])
    if unknown := set(names) - {public.name for public in PUBLIC_SETS}:
        sys.exit(f"no set {sorted(unknown)}; there are {', '.join(repr(public.name) for public in PUBLIC_SETS)}")
    print(f"{'set':<16} {'F1':>8} {'precision':>9} {'recall':>8} {'B3 F1':>8} {'records':>8} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        for public in PUBLIC_SETS:
            if not names or public.name in names:
                folder = (keep or Path(scratch)) / public.name.replace(" ", "_")
                shutil.rmtree(folder, ignore_errors=True)
                print(measure(public, data, folder), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which sets, by name; none: all")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the projects in this folder")
    arguments = parser.parse_args()
    main(arguments.names, arguments.keep)
