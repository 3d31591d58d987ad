"""Exceptions.

`MisuseError` and its kin are mistakes of the calling program; each has the number that C knows it by (`code`).
`ProtocolError` and its kin are what went wrong with a peer, sorted by whose fault it is; a node never raises them
from network input, it tells by events. `Reason.error` makes one, `ravelin.aio` raises them, and so does the codec.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

__all__ = [
    "AuthenticationError", "BufferTooSmallError", "ClosedError", "ConfigError", "Fault", "IncompatibleError",
    "InvalidArgumentError", "KeyLengthError", "LocalError", "MalformedError", "MisbehavedError", "MisuseError", "NoLocalAddressError",
    "NoProposalError", "NoProtectionError", "NoRemoteAddressError", "NotAllowedError", "NotEstablishedError", "PlaneError", "ProtocolError",
    "RavelinError", "RefusedError", "SpiTakenError", "TimedOutError", "UnknownChildError", "UnknownPeerError", "UnknownPolicyError",
    "UnknownSaError", "UnknownTicketError", "UnsupportedTransformError", "WrongAnswerError",
]


class Fault(Enum):
    """Whose fault the end of an SA is."""

    INTENDED = "Intended"
    """Nobody's: an operator or peer wanted it."""
    MALFORMED = "Malformed"
    """The peer sent octets that are no IKEv2."""
    MISBEHAVED = "Misbehaved"
    """The peer sent well-formed messages that break the protocol."""
    INCOMPATIBLE = "Incompatible"
    """Both are sane, but their configurations do not meet."""
    REFUSED = "Refused"
    """The peer said no."""
    TIMED_OUT = "TimedOut"
    """Somebody did not answer."""
    AUTHENTICATION = "Authentication"
    """Authentication or a cryptographic check failed."""
    LOCAL = "Local"
    """Our own configuration or resources."""


class RavelinError(Exception):
    """Any error of this package."""


class ConfigError(RavelinError, ValueError):
    """A configuration value is not acceptable; the text says which and why."""

    code: ClassVar[int] = 3


class MisuseError(RavelinError):
    """A mistake of the calling program."""

    code: ClassVar[int] = 25


class InvalidArgumentError(MisuseError, ValueError):
    """A length, a number or a text is outside its range."""

    code = 2


class BufferTooSmallError(MisuseError, ValueError):
    """What is to be written does not fit. The packets of the call are lost, as packets may be."""

    code = 4


class UnknownSaError(MisuseError, LookupError):
    """No IKE SA has this id (any more)."""

    code = 16


class UnknownChildError(MisuseError, LookupError):
    """No Child SA has this id (any more)."""

    code = 17


class UnknownPeerError(MisuseError, LookupError):
    """No peer has this id."""

    code = 18


class UnknownPolicyError(MisuseError, LookupError):
    """No protect policy of that peer has this id."""

    code = 19


class NoRemoteAddressError(MisuseError):
    """The peer has no address to initiate to."""

    code = 20


class NoLocalAddressError(MisuseError):
    """The peer has no address to initiate from."""

    code = 21


class NoProposalError(MisuseError):
    """No proposal is usable."""

    code = 22


class NotEstablishedError(MisuseError):
    """The IKE SA is closing or not established yet."""

    code = 23


class UnknownTicketError(MisuseError, LookupError):
    """The ticket is unknown, answered or expired."""

    code = 24


class NotAllowedError(MisuseError):
    """Not allowed now."""

    code = 25


class WrongAnswerError(MisuseError, TypeError):
    """The answer is of another kind than the question."""

    code = 26


class PlaneError(MisuseError, ValueError):
    """The ESP plane does not take a change."""

    code = 2


class UnsupportedTransformError(PlaneError):
    """The provider has no such transform."""

    code = 32


class KeyLengthError(PlaneError):
    """The key material has another length than the transform takes."""

    code = 33


class NoProtectionError(PlaneError):
    """The SA would not protect integrity."""

    code = 34


class SpiTakenError(PlaneError):
    """The SPI is reserved or another SA has it."""

    code = 35


class ProtocolError(RavelinError):
    """Something went wrong with a peer."""

    fault: ClassVar[Fault] = Fault.LOCAL


class ClosedError(ProtocolError):
    """It ended because somebody wanted it to."""

    fault = Fault.INTENDED


class MalformedError(ProtocolError, ValueError):
    """Octets that are no IKEv2."""

    fault = Fault.MALFORMED
    code: ClassVar[int] = 48


class MisbehavedError(ProtocolError):
    """Well-formed messages that break the protocol."""

    fault = Fault.MISBEHAVED


class IncompatibleError(ProtocolError):
    """The two configurations do not meet."""

    fault = Fault.INCOMPATIBLE


class RefusedError(ProtocolError):
    """The peer said no."""

    fault = Fault.REFUSED


class TimedOutError(ProtocolError, TimeoutError):
    """Somebody did not answer."""

    fault = Fault.TIMED_OUT


class AuthenticationError(ProtocolError):
    """Authentication or a cryptographic check failed."""

    fault = Fault.AUTHENTICATION


class LocalError(ProtocolError):
    """Our own configuration or resources."""

    fault = Fault.LOCAL


def _below(base: type[RavelinError]) -> list[type[RavelinError]]:
    return [c for sub in base.__subclasses__() for c in (sub, *_below(sub))]


_BY_CODE: dict[int, type[RavelinError]] = {c.code: c for c in (ConfigError, MalformedError)}
_BY_CODE.update({c.code: c for c in _below(MisuseError) if issubclass(c, MisuseError) and c is not PlaneError})
_BY_FAULT: dict[Fault, type[ProtocolError]] = {
    c.fault: c for c in _below(ProtocolError) if issubclass(c, ProtocolError)
}


def from_code(code: int, text: str) -> RavelinError:
    """The exception for a status of `src/code.rs`."""
    return _BY_CODE.get(code, MisuseError)(text)


def from_fault(fault: Fault, text: str) -> ProtocolError:
    """The exception for a fault."""
    return _BY_FAULT[fault](text)
