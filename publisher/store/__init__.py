"""Tables, queries, migrations. The only room that knows SQL."""

from publisher.store.database import Store
from publisher.store.transaction import Transaction

__all__ = ["Store", "Transaction"]
