"""The most memory that this process held at once. Does not belong here: anything else that is measured."""

import re
from pathlib import Path


def peak_mb() -> float:
    """High-water mark of the resident set in MB (Linux). `getrusage` would count that of the process that started this
    one, too, where it was larger.
    """
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(kilobytes) / 1024
