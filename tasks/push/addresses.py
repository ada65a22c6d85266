"""Which addresses a push may be sent to: public ones, so that nobody reaches our network through us."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

NAT64 = IPv6Network("64:ff9b::/96")  # holds an IPv4 address, which counts (RFC 6052)
UNICAST = IPv6Network("2000::/3")  # all that IANA has given out
# What within that leads elsewhere: other protocols, such as Teredo; examples; 6to4; examples.
SPECIAL = [ip_network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
SPECIAL_IPV4 = [ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24")]


class NoPublicAddress(Exception):
    """A name leads nowhere, or to where it must not."""


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, in its plain form."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in NAT64:
            return _is_public_ipv4(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in UNICAST and not any(address in each for each in SPECIAL)
    return _is_public_ipv4(address)


def _is_public_ipv4(address: IPv4Address) -> bool:
    refused = address.is_multicast or address.is_reserved or not address.is_global
    return not refused and not any(address in each for each in SPECIAL_IPV4)


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host, asked anew each time; whoever connects has to use these.

    Raises `NoPublicAddress` where there are none, or, but for `DEBUG`, where one of them is not
    public: a name that leads to both is made for getting at the other.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NoPublicAddress("It is at no address that can be found.") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not addresses or not (settings.DEBUG or all(map(is_public, addresses))):
        raise NoPublicAddress("It is at no address of the public internet.")
    return addresses
