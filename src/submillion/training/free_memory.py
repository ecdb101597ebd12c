"""What control groups leave free: the limits of containers, systemd units and batch systems such as SLURM."""

import sys
from collections.abc import Iterator
from pathlib import Path

_Files = tuple[str, str, str]
"""Of a group's folder: its limit, what it uses, and the line of `memory.stat` that could be dropped."""

_VERSION_2: _Files = ("memory.max", "memory.current", "inactive_file")
_VERSION_1: _Files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_in_groups(
    mounted: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the bytes that this process's control groups leave free; a very large number without a limit.

    A limit binds all groups below its own, so that the least of the process's own group and of its parents counts.

    Args:
        mounted: Where the groups are mounted.
        membership: Which groups the process is in, as Linux tells it.
    """
    groups = _folders(mounted, membership)
    return min((_free_in(folder, files) for folder, files in groups), default=sys.maxsize)


def _folders(mounted: Path, membership: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the folders of the process's groups and their files, from the mount down; in a container some may not be there."""
    roots = {"": (mounted, _VERSION_2), "memory": (mounted / "memory", _VERSION_1)}
    yield from roots.values()
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        names = group.strip("/").split("/")
        if ".." in names:  # outside of the container's own
            continue
        for controller in roots.keys() & controllers.split(","):
            root, files = roots[controller]
            for depth in range(len(names)):
                yield root.joinpath(*names[: depth + 1]), files


def _free_in(folder: Path, files: _Files) -> int:
    """Return what one group leaves free; file pages that the kernel would drop for whoever needs memory count as free."""
    limit_name, used_name, droppable = files
    try:
        limit = (folder / limit_name).read_text().strip()
        used = int((folder / used_name).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return sys.maxsize
    dropped = sum(int(line.split()[1]) for line in lines if line.split()[0] == droppable)
    return sys.maxsize if limit == "max" else int(limit) - used + dropped
