"""The pages that subscribers see, served by ``publisher serve``. Holds no rules."""

from publisher.web.server import Server, listen, make_server
from publisher.web.service import Service, assemble, require, run

__all__ = ["Server", "Service", "assemble", "listen", "make_server", "require", "run"]
