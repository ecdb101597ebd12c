"""A page from its template."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from submillion.run import written_atomically
from submillion.statistics import percent
from submillion.terminal import shown_name


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page from a template that extends `page/base.html.j2`; what it shows is escaped.

    Args:
        path: The file to write.
        template: Path of the template in this package.
        values: What the template asks for by name.

    Raises:
        RunError: If the file cannot be written.
    """
    page = _rendered(template, values)
    with written_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # half a surrogate pair has no bytes
    return path


def _rendered(template: str, values: dict[str, Any]) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    environment.filters |= {
        "percent": percent,
        "points": _points,
        "number": _number,
        "count": _count,
        "share": _share,
        "name": shown_name,
    }
    return environment.get_template(template).render(values)


def _source(name: str) -> str:
    return (files("submillion") / name).read_text(encoding="utf-8")


def _points(share: float) -> str:
    """Return how many points of 100 a difference lies below.

    >>> _points(-0.0123), _points(0.0)
    ('1.23', '0.00')
    """
    return f"{abs(100 * share):.2f}"


def _number(value: float | None) -> str:
    """Return seconds or a percentage with one decimal; a dash where there is none."""
    return "-" if value is None else f"{value:,.1f}"


def _count(value: int | None) -> str:
    """Return a whole number with its thousands apart; a dash where there is none."""
    return "-" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    """Return a share in percent with one decimal; a dash where there is none.

    >>> _share(0.1234), _share(None)
    ('12.3', '-')
    """
    return _number(None if value is None else 100 * value)
