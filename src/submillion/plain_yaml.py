"""YAML as recipes use it: no key twice, nothing nested deeply, no alias that unfolds into more than was written."""

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

MOST_BYTES = 1 << 18
MOST_VALUES = 20_000
MOST_LEVELS = 20


_HINTS = {
    r"'\t'": ": indent with spaces",
    "single document": ": keep one, or put the other into a file of its own",
    "flow mapping": ": close the brace",
    "flow sequence": ": close the bracket",
    "constructor for the tag": ": no recipe needs a tag, write the plain value",
}
"""What to do about YAML's commonest complaints, by words of them."""


class _PlainLoader(yaml.SafeLoader):
    """The safe loader, which bounds what it builds and takes no key twice."""

    def __init__(self, stream: str):
        super().__init__(stream)
        self._n_levels = 0
        self._sizes: dict[int, int] = {}  # values below each node, aliases unfolded

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node, and count what it unfolds into."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        if self._n_levels >= MOST_LEVELS:
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {MOST_LEVELS} levels deep: a recipe has sections, keys and values",
                problem_mark=event.start_mark,
            )
        self._n_levels += 1
        node: Node | None = super().compose_node(parent, index)
        self._n_levels -= 1
        if is_alias and id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(
                problem=f"*{event.anchor} stands inside itself: write out what is meant",
                problem_mark=event.start_mark,
            )
        if not is_alias and node is not None:
            self._sizes[id(node)] = size = 1 + sum(self._sizes[id(child)] for child in _children(node))
            if size > MOST_VALUES:
                raise yaml.MarkedYAMLError(
                    problem=f"it unfolds into more than {MOST_VALUES:,} values: write out what is meant",
                    problem_mark=event.start_mark,
                )
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Compose a mapping, and refuse a key that stands twice."""
        node: MappingNode = super().compose_mapping_node(anchor)
        first: dict[str, Any] = {}
        for key, _ in node.value:
            if not isinstance(key.value, str):
                continue
            if key.value in first:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} stands twice, first in line {first[key.value].line + 1}: leave one out",
                    problem_mark=key.start_mark,
                )
            first[key.value] = key.start_mark
        return node


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        ValueError: If it is no YAML, or holds what no recipe needs; in one line, with the place.
        OSError: If it cannot be read.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(
            f"{size:,} bytes are no recipe, which has at most {MOST_BYTES:,}: name the recipe's own file"
        )
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        hint = next((hint for words, hint in _HINTS.items() if words in said), "")
        raise ValueError(f"{place}{said}{hint}") from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise ValueError(f"{said}: take that character out") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start:,} is no UTF-8: save it as UTF-8") from None
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        # SafeLoader's constructors raise these on a date, number or tag that is none.
        raise ValueError(f"a value is not what it is written as ({' '.join(str(error).split())})") from None
