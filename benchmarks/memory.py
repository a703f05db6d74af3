from pathlib import Path

import psutil


def peak_rss_mib(process_id: int) -> float:
    """The most memory that a process has taken; where the system does not tell, what it takes now."""
    # VmHWM (in kB) is the peak of this program alone; ru_maxrss includes the parent's peak.
    status = Path(f"/proc/{process_id}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process(process_id).memory_info().rss) / 1024**2


def peak_of_children_mib(process_id: int) -> float:
    """The peak of the child process that has taken most, or of the process itself if it has none."""
    children = psutil.Process(process_id).children(recursive=True)
    return max((peak_rss_mib(child.pid) for child in children), default=peak_rss_mib(process_id))
