"""How a class, or functions, become an actor."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Optional, Type

from ._refs import Ref

_functions: Dict[str, Callable] = {}


def actor(cls: Optional[type] = None, *, concurrent: int = 1, errors: Optional[Dict[Type[BaseException], str]] = None) -> Any:
    """Decorate a class whose public methods are to be an actor's.

    concurrent is how many of its methods may run at once. With 1, the default, all of
    them run on the main thread; with more, plain methods run on threads and async ones
    on an event loop. errors are the exceptions that callers in Go find with errors.Is,
    each with the text of the Go error.
    """

    def mark(c: type) -> type:
        c._understudy_options = (concurrent, dict(errors or {}))  # type: ignore[attr-defined]
        return c

    return mark(cls) if cls is not None else mark


def method(name: str) -> Callable[[Callable], Callable]:
    """Decorate a method whose name on the wire is another than in Python."""

    def mark(f: Callable) -> Callable:
        f._understudy_name = name  # type: ignore[attr-defined]
        return f

    return mark


def function(f: Optional[Callable] = None, *, name: str = "") -> Any:
    """Decorate a function that is to be a method of the actor that run() without a class runs."""

    def mark(f: Callable) -> Callable:
        _functions[name or f.__name__] = f
        return f

    return mark(f) if f is not None else mark


class Handler:
    """A method as it is called: what kind of function it is, and what its parameters are annotated with."""

    __slots__ = ("call", "wants_ctx", "coroutine", "generator", "async_generator", "refs", "lowest", "highest", "plain")

    def __init__(self, f: Callable) -> None:
        self.call = f
        target = inspect.unwrap(f)
        self.coroutine = inspect.iscoroutinefunction(target)
        self.generator = inspect.isgeneratorfunction(target)
        self.async_generator = inspect.isasyncgenfunction(target)
        self.wants_ctx = False
        self.refs: List[int] = []
        self.lowest, self.highest = 0, 0
        try:
            parameters = inspect.signature(f).parameters.values()
        except (TypeError, ValueError):  # a builtin
            self.highest = 1 << 30
            parameters = ()  # type: ignore[assignment]
        for p in parameters:
            if p.name == "ctx":
                self.wants_ctx = True
            elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                if p.annotation is Ref or isinstance(p.annotation, str) and p.annotation.rpartition(".")[2] == "Ref":
                    self.refs.append(self.highest)
                self.highest += 1
                if p.default is p.empty:
                    self.lowest = self.highest
            elif p.kind == p.VAR_POSITIONAL:
                self.highest = 1 << 30
        self.plain = not (self.wants_ctx or self.refs or self.coroutine or self.generator or self.async_generator)

    @property
    def stream(self) -> bool:
        return self.generator or self.async_generator

    def wrong(self, given: int) -> str:
        """Say why a number of arguments does not fit; empty if it does."""
        if self.lowest <= given <= self.highest:
            return ""
        want = str(self.lowest) if self.lowest == self.highest else f"{self.lowest} to {self.highest}"
        return f"bad arguments: {given} were sent, and the method takes {want}"


_OWN = ("run", "stop")


def handlers(state: Any) -> Dict[str, Handler]:
    """Return the methods of an actor: the public ones of its class, or the decorated functions."""
    found: Dict[str, Handler] = {}
    if state is None:
        return {name: Handler(f) for name, f in _functions.items()}
    for name in dir(type(state)):
        if name.startswith("_") or name in _OWN or isinstance(inspect.getattr_static(type(state), name), property):
            continue
        f = getattr(state, name)
        if callable(f) and not inspect.isclass(f):
            found[getattr(f, "_understudy_name", name)] = Handler(f)
    return found

