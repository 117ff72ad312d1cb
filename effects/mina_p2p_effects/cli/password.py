"""The password of a key file: from the environment, or from whoever sits at the terminal."""

from __future__ import annotations

import getpass
import os
import sys

from mina_p2p_effects.keyfile import ENVIRONMENT_VARIABLE, password_from_environment


def operators_password(prompt: str = "password of the key file: ", *, is_new: bool = False) -> bytes:
    """The password of a key file; asked for only where the environment has none and standard input is a terminal.

    :param is_new: ask until two answers agree, as a key that is encrypted with a mistyped password is lost.
    :raises KeyFileError: ``NOT_GIVEN`` where there is none.
    """
    while ENVIRONMENT_VARIABLE not in os.environ and sys.stdin.isatty():
        try:
            password = getpass.getpass(prompt)
            if not is_new or getpass.getpass("the same again: ") == password:
                return os.fsencode(password)
        except EOFError:
            sys.stderr.write("\n")
            break
        sys.stderr.write("these two differ\n")
    return password_from_environment()
