"""Errors a person reads: one sentence that names the thing and the next step.

Delivery outcomes are another family and live in :mod:`publisher.channel`.
"""


class PublisherError(Exception):
    """The answer is no. The message is shown as it is; the command ends with code 1."""


class UsageError(PublisherError):
    """What was typed cannot be understood. The command ends with code 2."""


class DocumentError(PublisherError):
    """A document cannot be read.

    ``line`` is the 1-based line of the source the sentence is about, or ``None`` for the whole file.
    """

    def __init__(self, message: str, *, source: str = "", line: int | None = None) -> None:
        self.message, self.source, self.line = message, source, line
        where = f"{source}, line {line}: " if source and line else f"{source}: " if source else ""
        if line and not source:
            where = f"Line {line}: "
        super().__init__(where + message)


class SettingsError(PublisherError):
    """A setting is missing or wrong; nothing has been started."""


class NotFoundError(PublisherError):
    """No announcement or delivery has this id."""


class NotAllowedError(PublisherError):
    """This person, or this state, does not permit the step."""


class TemplateError(PublisherError):
    """A template cannot be used; names the file and the line."""
