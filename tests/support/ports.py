"""Ports for servers that a test stops and starts again."""

import random
from itertools import count
from os import environ

from local.ports import is_free

_WORKER = int(environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST, _EACH = 20_000, 1_000
"""Below those that systems give to whoever asks for any port: from 32768 up on Linux, from 49152 up elsewhere."""
# Another run of the tests on this machine begins at another port.
_numbers = count(random.randrange(_EACH))


def lasting_port() -> int:
    """A free port that no other server gets while its own server is stopped."""
    ports = (_FIRST + _WORKER * _EACH + number % _EACH for number in _numbers)
    return next(port for port in ports if is_free(port))
