"""Letters, complete and signed: everything that is the same for all is made once, before the first one."""

from __future__ import annotations

from datetime import datetime

from channels.mailing.letterhead import Letterhead
from publisher.channel import Letter


class Composer:
    """Composes the letters of one mailing. Safe to call from several threads."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead

    def return_path(self, letter: Letter) -> str:
        """The envelope's sender: ``bounces+b-{letter.bounce}@domain``, or the sender where there are no bounces."""
        raise NotImplementedError

    @staticmethod
    def needs_smtputf8(letter: Letter) -> bool:
        """Whether the server must offer SMTPUTF8 (RFC 6531): the address is not ASCII before its @."""
        return not letter.address.isascii()

    def compose(self, letter: Letter, moment: datetime) -> bytes:
        """The complete, signed message: CRLF line ends, the last line ended, without the final dot of DATA.

        ``moment`` is aware. No line begins with a dot, so that nothing has to be doubled on the way. Raises
        :class:`~publisher.channel.Rejected` for a letter whose address or link no header can hold: it is refused, the
        others go on.
        """
        raise NotImplementedError
