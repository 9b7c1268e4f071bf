"""Runs checks side by side and tells what came of each, one line of JSON per check.

It also notes which functions of the package were called, so that a public one that no check calls is found.
"""

import asyncio
import inspect
import json
import os
import sys
import threading
import time
import traceback

import posthook

PACKAGE = os.path.dirname(posthook.__file__)
called = set()


def note(frame, event, _arg):
    # At the end of the interpreter names are gone before the last functions are called.
    if event == "call" and PACKAGE is not None and frame.f_code.co_filename.startswith(PACKAGE):
        called.add(frame.f_code)


def watch():
    threading.setprofile(note)
    sys.setprofile(note)


def public_functions():
    """Every public function and method of the package, read from it: nobody keeps a list by hand."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "posthook"]
    found = {}
    for name in posthook.__all__:
        thing = getattr(posthook, name)
        if inspect.isfunction(thing):
            found[name] = thing
    for module in modules:
        for name, cls in vars(module).items():
            if name.startswith("_") or not inspect.isclass(cls) or not cls.__module__.startswith("posthook"):
                continue
            for member, value in vars(cls).items():
                function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                if not member.startswith("_") and inspect.isfunction(function):
                    found[f"{cls.__name__}.{member}"] = function
    return found


# Reads a member that only hooks of a sequence carry. No method of the package can make a sequence.
UNREACHABLE = {"HookSequenceData.from_dict"}


def uncalled():
    functions = public_functions()
    assert UNREACHABLE <= set(functions)
    return sorted(
        name for name, function in functions.items()
        if function.__code__ not in called and name not in UNREACHABLE)


def tell(**line):
    print(json.dumps(line), flush=True)


def ask(what):
    """Asks whoever started this program to do something to the server, and waits until it is done."""
    tell(ask=what)
    return json.loads(sys.stdin.readline())


async def until(condition, seconds=20, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def raises(error, act, *args, **kwargs):
    try:
        act(*args, **kwargs)
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised")


async def araises(error, awaitable):
    try:
        await awaitable
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised")


async def run(checks):
    """Functions run in a thread each, coroutine functions in the loop; all at once."""

    async def one(check):
        name = check.__doc__.strip()
        try:
            if inspect.iscoroutinefunction(check):
                await check()
            else:
                await asyncio.to_thread(check)
            tell(check=name, error=None)
        except BaseException:
            tell(check=name, error=traceback.format_exc())

    await asyncio.gather(*(one(check) for check in checks))
