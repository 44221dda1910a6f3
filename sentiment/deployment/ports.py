"""Choosing a TCP port that nobody listens on."""

import errno
import random
import socket

from sentiment.errors import ServiceError

TRIES = 200
INNER_PORTS = (20_000, 32_000)  # below the ports that outgoing connections take


def free_port(host: str, wanted: int = 0) -> int:
    """Return `wanted` if it is free on `host`, else the next free one; for 0, any that is free.

    Raises
    ------
    ServiceError
        The host is not one of this machine's, or nothing near `wanted` is free.
    """
    first = wanted or random.randint(*INNER_PORTS)
    for port in range(first, min(first + TRIES, 65_536)):
        if _is_free(host, port):
            return port
    raise ServiceError(f"No port from {first} on is free on {host}.", fix="Stop something, or choose another port.")


def _is_free(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ServiceError(
            f"{host!r} is not an address: {error}.",
            fix="Set SENTIMENT_PLATFORM__HOST to 127.0.0.1 or 0.0.0.0.",
        ) from error
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
            trial.listen(1)
        except PermissionError:
            return False
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ServiceError(
                    f"{host} is not an address of this machine.",
                    fix="Set SENTIMENT_PLATFORM__HOST to 127.0.0.1 or 0.0.0.0.",
                ) from error
            return False
    return True
