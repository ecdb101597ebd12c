"""What control groups leave free, read from folders as Linux has them."""

import sys
from pathlib import Path

import pytest

from submillion.training.free_memory import free_in_groups


def write_group(folder: Path, limit: object, used: int = 1000) -> None:
    """Write a group of version 2, 500 of its bytes in file pages that can be dropped."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text("anon 300\ninactive_file 500\nactive_file 200\n")


def write_older_group(folder: Path, limit: object, used: int = 1000) -> None:
    """Write a group of version 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text("inactive_file 9\ntotal_inactive_file 500\n")


@pytest.fixture
def free(tmp_path):
    """Return a function: the lines of `/proc/self/cgroup` to what is free in the groups under ``tmp_path``."""

    def read(*lines: str) -> int:
        membership = tmp_path / "membership"
        membership.write_text("".join(f"{line}\n" for line in lines))
        return free_in_groups(tmp_path, membership)

    return read


def test_without_groups_nothing_is_bound(free, tmp_path):
    assert free() == sys.maxsize
    assert free("0::/user.slice") == sys.maxsize
    assert free_in_groups(tmp_path / "none", tmp_path / "none") == sys.maxsize


def test_a_containers_limit_stands_at_the_mount(free, tmp_path):
    write_group(tmp_path, "max")
    assert free("0::/") == sys.maxsize
    write_group(tmp_path, 5000)
    assert free("0::/") == 4500
    assert free_in_groups(tmp_path, tmp_path / "none") == 4500


def test_the_least_of_the_own_group_and_its_parents_counts(free, tmp_path):
    job = tmp_path / "system.slice" / "job.scope"
    write_group(job, 5000)
    write_group(tmp_path / "system.slice", "max", used=9000)
    write_group(tmp_path / "system.slice" / "other.scope", 1100)
    assert free("0::/system.slice/job.scope") == 4500
    write_group(tmp_path / "system.slice", 9000, used=8000)
    assert free("0::/system.slice/job.scope") == 1500
    write_group(tmp_path, 9000, used=8900)
    assert free("0::/system.slice/job.scope") == 600
    assert free("0::/system.slice/job.scope/not_there") == 600


@pytest.mark.parametrize("controllers", ["memory", "cpu,memory"])
def test_groups_of_the_older_kind(free, tmp_path, controllers):
    memory = tmp_path / "memory"
    write_older_group(memory, 2**63 - 4096)
    write_older_group(memory / "slurm", 9000, used=6000)
    write_older_group(memory / "slurm" / "job_12", 5000)
    lines = ("9:name=systemd:/", "1:cpu:/slurm/job_12", "0::/")
    assert free(*lines, f"4:{controllers}:/slurm") == 3500
    assert free(*lines, f"4:{controllers}:/slurm/job_12") == 3500
    write_older_group(memory / "slurm", 9000)
    assert free(*lines, f"4:{controllers}:/slurm/job_12") == 4500
    write_older_group(memory, 5000, used=5000)
    assert free(*lines, f"4:{controllers}:/docker/of_the_machine") == 500


def test_a_group_outside_of_the_containers_own_is_not_looked_for(free, tmp_path):
    write_group(tmp_path, 5000)
    write_group(tmp_path / "groups", "max")
    write_group(tmp_path / "job", 3000)
    mounted = tmp_path / "groups"
    (tmp_path / "membership").write_text("0::/../job\n")
    assert free_in_groups(mounted, tmp_path / "membership") == sys.maxsize
