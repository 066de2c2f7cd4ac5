"""One transaction, with a small repository for each thing it may touch."""

from __future__ import annotations

from sqlalchemy import Connection

from publisher.store.alerts import Alerts
from publisher.store.announcements import Announcements
from publisher.store.bounces import Bounces
from publisher.store.channels import Channels
from publisher.store.deliveries import Deliveries
from publisher.store.log import Log
from publisher.store.mailings import Mailings
from publisher.store.pictures import Pictures
from publisher.store.seals import Seals
from publisher.store.subscribers import Subscribers
from publisher.store.workers import Workers


class Transaction:
    """What can be read and written within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.log = Log(connection)
        self.announcements = Announcements(connection)
        self.pictures = Pictures(connection)
        self.seals = Seals(connection, self.pictures)
        self.deliveries = Deliveries(connection, self.log)
        self.mailings = Mailings(connection)
        self.subscribers = Subscribers(connection)
        self.channels = Channels(connection)
        self.alerts = Alerts(connection)
        self.workers = Workers(connection)
        self.bounces = Bounces(connection)
