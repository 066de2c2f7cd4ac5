"""What happened, what it means and what to do, in words an officer reads: the same everywhere they are told."""

from publisher.words.office import Outlook, because, halted, pause, paused, unmanned
from publisher.words.report import Report
from publisher.words.story import Case, Trace, state, story, traces, where
from publisher.words.todo import ToDo, needs

__all__ = [
    "Case",
    "Outlook",
    "Report",
    "ToDo",
    "Trace",
    "because",
    "halted",
    "needs",
    "pause",
    "paused",
    "state",
    "story",
    "traces",
    "unmanned",
    "where",
]
