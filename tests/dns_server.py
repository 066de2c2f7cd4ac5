"""A real DNS server on a port of 127.0.0.1, over UDP and TCP, that answers from a zone file."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.zone

_UDP = 512
"""Bytes of the longest answer over UDP; longer ones are cut, and the client asks again over TCP."""


class DnsServer:
    """Answers from ``zone``; all about names that end with one of ``broken`` fails, about ``silent`` is not answered."""

    def __init__(self, zone: str, broken: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> None:
        text = f"$TTL 60\n. IN SOA ns.example. root.example. 1 1 1 1 1\n. IN NS ns.example.\n{zone}"
        self._zone = dns.zone.from_text(text, origin=".", relativize=False)
        self._broken, self._silent = broken, silent
        self.asked: list[str] = []
        self._tcp = _Tcp(("127.0.0.1", 0), _TcpQuestion)
        self.port: int = self._tcp.server_address[1]
        self._udp = _Udp(("127.0.0.1", self.port), _UdpQuestion)
        self._tcp.dns = self._udp.dns = self
        for server in (self._tcp, self._udp):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def resolver(self, lifetime: float = 5.0) -> dns.asyncresolver.Resolver:
        """A resolver that asks nobody else."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self.port, lifetime
        return resolver

    def stop(self) -> None:
        """Ends it."""
        for server in (self._tcp, self._udp):
            server.shutdown()
            server.server_close()

    def answer(self, wire: bytes) -> dns.message.Message | None:
        """The answer to one question; ``None`` for none at all."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        self.asked.append(f"{name} {dns.rdatatype.to_text(question.rdtype)}")
        if name.endswith(self._silent) and self._silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        if name.endswith(self._broken) and self._broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        else:
            self._fill(answer, question.name, question.rdtype)
        return answer

    def _fill(self, answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        node = self._zone.get_node(name)
        if node is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
            return
        alias = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)
        for found in (alias, node.get_rdataset(dns.rdataclass.IN, kind)):
            if found is not None:
                answer.answer.append(dns.rrset.from_rdata_list(name, 60, list(found)))
        if alias is not None:
            self._fill(answer, alias[0].target, kind)


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    dns: DnsServer


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    dns: DnsServer


class _UdpQuestion(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, sock = self.request
        answer = self.server.dns.answer(wire)
        if answer is None:
            return
        sent = answer.to_wire()
        if len(sent) > _UDP:
            short = dns.message.make_response(dns.message.from_wire(wire))
            short.flags |= dns.flags.TC
            sent = short.to_wire()
        sock.sendto(sent, self.client_address)


class _TcpQuestion(socketserver.StreamRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        length = self.rfile.read(2)
        if len(length) < 2:
            return
        answer = self.server.dns.answer(self.rfile.read(struct.unpack("!H", length)[0]))
        if answer is not None:
            sent = answer.to_wire()
            self.wfile.write(struct.pack("!H", len(sent)) + sent)


@contextmanager
def serving(zone: str, broken: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> Iterator[DnsServer]:
    """A server for as long as it is needed."""
    server = DnsServer(zone, broken, silent)
    try:
        yield server
    finally:
        server.stop()
