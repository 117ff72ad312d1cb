"""Code of the user's own, named on the command line: ``module:function``, or a Python file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p.store import Machine
from mina_p2p.trace.machines import machine_named


def load_function(name: str) -> Callable[..., Any]:
    """The function ``module:function``; the current folder is looked into first.

    :raises CallerError: where there is none.
    """
    module_name, colon, function_name = name.partition(":")
    if not colon or not function_name:
        raise CallerError(f"{name!r} is no module:function, such as my_checks:pools_agree")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise CallerError(f"{name}: {error}") from error
    return _function(module, function_name, name)


def load_machine(name: str, machine: str) -> Machine[Any]:
    """The changed machine that a user's function makes of a registered one.

    :param name: ``module:function``, or a Python file with a function ``machine``. It takes the machine
        and returns the changed one, for example ``machine.replaced(Action, reducer=mine)``.
    :param machine: the name under which the machine is registered.
    :raises CallerError: where there is no such function, or it returns something else.
    :raises LogError: where the machine is not registered.
    """
    change = _function(_module_of(Path(name)), "machine", name) if name.endswith(".py") else load_function(name)
    changed = change(machine_named(machine).machine)
    if not isinstance(changed, Machine):
        raise CallerError(f"{name} returned a {type(changed).__qualname__}; it has to return a Machine")
    return changed  # pyright: ignore[reportUnknownVariableType] - of whatever state, as the log says


def _module_of(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"mina_p2p_user_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise CallerError(f"{path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _function(module: ModuleType, name: str, what: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(module, name, None)
    if found is None or not callable(found):
        raise CallerError(f"{what}: {module.__name__} has no function {name}")
    return found
