"""A pickle as inert data: its opcodes are followed, nothing that it names is ever looked up or called.

`pickle.Unpickler` imports what a file names and calls it; a filter before it has to be right about every
way to reach a callable. Here there is none to reach: a global becomes a `Global` (two strings), a call a
`Call` that keeps its arguments. The standard library's `pickletools` splits the file into opcodes.
"""

import pickletools
from dataclasses import dataclass, field
from typing import Any

from submillion.errors import one_line


class PickleRefused(Exception):
    """The file is broken, or holds what no data set needs."""


@dataclass(frozen=True)
class Global:
    """Something that the file names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}".encode("unicode_escape").decode()


@dataclass(eq=False)
class Call:
    """Something that the file wants called or made, with what it wants done to it; never done.

    Attributes:
        function: A `Global`, or whatever else stood in its place.
        args: The arguments.
        state: What BUILD would have set.
        items: What would have been put in by key.
    """

    function: Any
    args: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_KEY_TYPES = (str, bytes, int, type(None))


class PickleMachine:
    """Follows the opcodes of one pickle (protocols 2 to 5) and keeps what they describe."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.globals: dict[Global, int] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return what the pickle describes; the globals it names stand in ``globals`` with their byte.

        Raises:
            PickleRefused: If the file is truncated, broken, or uses an opcode that no data set needs.
        """
        try:
            for opcode, argument, position in pickletools.genops(self.content):
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument, position or 0)
        except PickleRefused:
            raise
        except Exception as error:  # pickletools raises many kinds on hostile bytes; all mean a broken file
            raise PickleRefused(f"the file is truncated or no pickle ({one_line(error)})") from None
        raise PickleRefused("the file is truncated: it has no end")

    def _step(self, name: str, argument: Any, position: int) -> None:
        if name in ("PROTO", "FRAME"):
            return
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self._stack.append(argument)
        elif name == "MARK":
            self._stack.append(_MARK)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._global(name, argument, position)
        elif name in ("NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"):
            self._call(name)
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif not self._container(name):
            raise PickleRefused(f"it uses opcode {name} at byte {position:,}, which no data set needs")

    def _global(self, opcode: str, argument: Any, position: int) -> None:
        if opcode == "GLOBAL":
            module, _, name = argument.partition(" ")
        else:
            name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleRefused(f"it names something that is no string at byte {position:,}")
        named = Global(module, name)
        self.globals.setdefault(named, position)
        self._stack.append(named)

    def _call(self, opcode: str) -> None:
        last = self._pop()
        if opcode == "BUILD":
            target = self._top()
            if not isinstance(target, Call):
                raise PickleRefused(f"it wants to set the state of a {type(target).__name__}")
            target.state = last
            return
        args = self._pop() if opcode == "NEWOBJ_EX" else last
        if not isinstance(args, tuple):
            raise PickleRefused("it makes a call without a tuple of arguments")
        function = self._pop()
        written = _bytes_of_protocol_2(function, args)
        self._stack.append(Call(function, args) if written is None else written)

    def _container(self, name: str) -> bool:
        if name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "EMPTY_SET"):
            self._stack.append({"EMPTY_LIST": [], "EMPTY_DICT": {}, "EMPTY_TUPLE": ()}.get(name, []))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            items = [self._pop() for _ in range(int(name[-1]))]
            self._stack.append(tuple(reversed(items)))
        elif name in ("TUPLE", "LIST", "FROZENSET"):
            items = self._to_mark()
            self._stack.append(items if name == "LIST" else tuple(items))
        elif name == "DICT":
            items = self._to_mark()
            self._stack.append({})
            self._set_items(items)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [self._pop()] if name == "APPEND" else self._to_mark()
            target = self._top()
            if not isinstance(target, list):
                raise PickleRefused(f"it wants to append to a {type(target).__name__}")
            target.extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            self._set_items(self._to_mark() if name == "SETITEMS" else [self._pop(), self._pop()][::-1])
        elif name == "POP":
            self._pop(mark_too=True)
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            self._stack.append(self._top())
        else:
            return False
        return True

    def _set_items(self, items: list[Any]) -> None:
        top = self._top()
        target = top.items if isinstance(top, Call) else top
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleRefused(f"it wants to set items of a {type(top).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEY_TYPES):
                raise PickleRefused(f"it has a {type(key).__name__} as a key")
            target[key] = value

    def _pop(self, mark_too: bool = False) -> Any:
        item = self._stack.pop()
        if item is _MARK and not mark_too:
            raise PickleRefused("the file is broken: a mark stands where a value belongs")
        return item

    def _top(self) -> Any:
        item = self._stack[-1]
        if item is _MARK:
            raise PickleRefused("the file is broken: a mark stands where a value belongs")
        return item

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]


def _bytes_of_protocol_2(function: Any, args: tuple[Any, ...]) -> bytes | None:
    """Return the bytes that protocol 2, which has no opcode for them, writes as a call."""
    if function == Global("_codecs", "encode") and len(args) == 2 and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1") if isinstance(args[0], str) else None
    return b"" if function == Global("__builtin__", "bytes") and not args else None
