"""The shop's raw tables as they land each morning: the same rows for the same morning, always.

`shop` is pure and gives Arrow tables; a writer puts them into a warehouse. On the third morning upstream breaks:
the faults are named one by one in `_FAULTS`.
"""

import argparse
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

MORNINGS = (1, 2, 3, 4)
BROKEN_MORNING = 3
SCHEMA = "raw"
CHANGED_ORDERS = 41
"""How many orders change their status before the second morning."""

Tables = Mapping[str, pa.Table]

_SEED = 20210209
_FIRST_DAY = datetime(2021, 2, 9, tzinfo=UTC)
_TRAFFIC = ((2, 2, 2), (175, 175, 175), (401, 290, 184))
"""Sessions a day that viewed a page, put something into the cart, and checked out."""
_USERS = 130

_TEXT, _WHOLE, _MONEY, _MOMENT = pa.string(), pa.int64(), pa.decimal128(12, 2), pa.timestamp("us", tz="UTC")

_SCHEMAS = {
    "users": {
        "user_id": _TEXT,
        "first_name": _TEXT,
        "last_name": _TEXT,
        "email": _TEXT,
        "phone_number": _TEXT,
        "address_id": _TEXT,
        "created_at": _MOMENT,
        "updated_at": _MOMENT,
    },
    "addresses": {
        "address_id": _TEXT,
        "address": _TEXT,
        "zipcode": _TEXT,
        "state": _TEXT,
        "country": _TEXT,
    },
    "products": {"product_id": _TEXT, "name": _TEXT, "price": _MONEY, "inventory": _WHOLE},
    "promos": {"promo_id": _TEXT, "discount": _WHOLE, "status": _TEXT},
    "orders": {
        "order_id": _TEXT,
        "user_id": _TEXT,
        "promo_id": _TEXT,
        "address_id": _TEXT,
        "created_at": _MOMENT,
        "order_cost": _MONEY,
        "shipping_cost": _MONEY,
        "order_total": _MONEY,
        "tracking_id": _TEXT,
        "shipping_service": _TEXT,
        "estimated_delivery_at": _MOMENT,
        "delivered_at": _MOMENT,
        "status": _TEXT,
    },
    "order_items": {"order_id": _TEXT, "product_id": _TEXT, "quantity": _WHOLE},
    "events": {
        "event_id": _TEXT,
        "session_id": _TEXT,
        "user_id": _TEXT,
        "page_url": _TEXT,
        "created_at": _MOMENT,
        "event_type": _TEXT,
        "order_id": _TEXT,
        "product_id": _TEXT,
    },
}

_PLANTS = """Aloe vera,Areca palm,Asparagus fern,Basil,Bird of paradise,Boston fern,Calathea,Cast iron plant,Chives,
Croton,Dracaena,English ivy,Fiddle-leaf fig,Gardenia,Hoya,Jade plant,Jasmine,Lavender,Lemon tree,Maidenhair fern,
Mint,Monstera,Olive tree,Parlour palm,Peace lily,Philodendron,Pothos,Rubber plant,Snake plant,String of pearls"""
_PROMOS = {"autumn leaves": 4, "compost": 1, "first frost": 10, "green thumb": 5, "repotting": 8, "spring tide": 20}
_FIRST_NAMES = ("Ada", "Bruno", "Chiara", "Dario", "Edith", "Farah", "Goran", "Hanna", "Ines", "Jonas", "Kofi", "Lena")
_LAST_NAMES = ("Almeida", "Berger", "Costa", "Dubois", "Eriksen", "Fischer", "Haddad", "Ito", "Jansen", "Kaya")
_STREETS = ("Beech Street", "Cedar Lane", "Elm Road", "Hazel Way", "Maple Avenue", "Rowan Close", "Willow Court")
_STATES = ("California", "Colorado", "Florida", "Illinois", "New York", "Oregon", "Texas", "Washington")
_CARRIERS = ("fernpost", "leafline", "rootexpress")

Row = dict[str, Any]


@dataclass
class _Shop:
    """Everything that ever happened in the shop, before any morning's view of it."""

    dice: random.Random = field(default_factory=lambda: random.Random(_SEED))
    users: list[Row] = field(default_factory=list)
    addresses: list[Row] = field(default_factory=list)
    products: list[Row] = field(default_factory=list)
    promos: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    order_items: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def event(self, session: Row, event_type: str, at: datetime, **columns: object) -> None:
        self.events.append(
            {"event_id": self.new_id(), **session, "event_type": event_type, "created_at": at, **columns}
        )


def shop(morning: int, now: datetime) -> Tables:
    """The raw tables as they lie there on a morning (1 to 4), loaded at `now`.

    Everything that is part of the shop is dated February 2021; only `loaded_at` depends on `now`.
    """
    if morning not in MORNINGS:
        raise ValueError(f"there is no morning {morning}: the shop has {MORNINGS[0]} to {MORNINGS[-1]}")
    history = _history()
    if morning > 1:
        _ship(history, CHANGED_ORDERS)
    _package_events(history)
    tables = {name: _table(name, getattr(history, name), now) for name in _SCHEMAS}
    if morning == BROKEN_MORNING:
        for name, faults in _FAULTS.items():
            for fault in faults:
                tables[name] = fault(tables[name])
    return tables


def _table(name: str, rows: list[Row], loaded_at: datetime) -> pa.Table:
    schema = pa.schema({**_SCHEMAS[name], "loaded_at": _MOMENT})
    return pa.Table.from_pylist([{**row, "loaded_at": loaded_at} for row in rows], schema=schema)


def _history() -> _Shop:
    history = _Shop()
    _stock(history)
    _people(history)
    for day, (viewed, carted, bought) in enumerate(_TRAFFIC):
        for number in range(viewed):
            _session(history, _FIRST_DAY + timedelta(days=day), puts_in_cart=number < carted, buys=number < bought)
    return history


def _stock(history: _Shop) -> None:
    dice = history.dice
    for plant in _PLANTS.replace("\n", "").split(","):
        price = dice.randrange(500, 9000, 25)
        history.products.append(
            {"product_id": history.new_id(), "name": plant, "price": _money(price), "inventory": dice.randint(5, 120)}
        )
    for name, discount in _PROMOS.items():
        status = "active" if discount > 2 else "inactive"
        history.promos.append({"promo_id": name, "discount": discount, "status": status})


def _people(history: _Shop) -> None:
    dice = history.dice
    for number in range(_USERS):
        address_id = history.new_id()
        history.addresses.append(
            {
                "address_id": address_id,
                "address": f"{dice.randint(1, 999)} {dice.choice(_STREETS)}",
                "zipcode": f"{dice.randint(10000, 99999)}",
                "state": dice.choice(_STATES),
                "country": "United States",
            }
        )
        first, last = dice.choice(_FIRST_NAMES), dice.choice(_LAST_NAMES)
        created_at = _FIRST_DAY - timedelta(minutes=dice.randint(1_440, 500_000))
        history.users.append(
            {
                "user_id": history.new_id(),
                "first_name": first,
                "last_name": last,
                "email": f"{first}.{last}.{number}@customers.greenery.example".lower(),
                "phone_number": f"555-01{dice.randint(0, 99):02}",
                "address_id": address_id,
                "created_at": created_at,
                "updated_at": created_at + timedelta(minutes=dice.randint(0, 1_000)),
            }
        )


def _session(history: _Shop, day: datetime, *, puts_in_cart: bool, buys: bool) -> None:
    """One visit. It ends within the hour, and starts early enough to end on its day."""
    dice = history.dice
    user = dice.choice(history.users)
    session = {"session_id": history.new_id(), "user_id": user["user_id"]}
    at = day + timedelta(seconds=dice.randint(0, 22 * 3600))
    seen = dice.sample(history.products, dice.randint(1, 4))
    for product in seen:
        history.event(session, "page_view", at, page_url=_url("product", product), product_id=product["product_id"])
        at += timedelta(seconds=dice.randint(20, 400))
    if not puts_in_cart:
        return
    cart = seen[: dice.randint(1, 3)]
    for product in cart:
        history.event(session, "add_to_cart", at, page_url=_url("product", product), product_id=product["product_id"])
        at += timedelta(seconds=dice.randint(20, 400))
    if buys:
        order = _order(history, user, cart, at)
        history.event(session, "checkout", at, page_url=_url("checkout", order), order_id=order["order_id"])


def _order(history: _Shop, user: Row, cart: list[Row], at: datetime) -> Row:
    dice = history.dice
    order_id = history.new_id()
    cost = 0
    for product in cart:
        quantity = dice.randint(1, 5)
        cost += quantity * int(product["price"].scaleb(2))
        history.order_items.append({"order_id": order_id, "product_id": product["product_id"], "quantity": quantity})
    promo = dice.choice(history.promos) if dice.random() < 0.15 and cost > 3000 else None
    shipping = dice.randrange(300, 1000, 10)
    status = dice.choices(("preparing", "shipped", "delivered"), (45, 25, 30))[0]
    order = {
        "order_id": order_id,
        "user_id": user["user_id"],
        "promo_id": promo and promo["promo_id"],
        "address_id": user["address_id"],
        "created_at": at,
        "order_cost": _money(cost),
        "shipping_cost": _money(shipping),
        "order_total": _money(cost + shipping - (promo["discount"] * 100 if promo else 0)),
        "status": "preparing",
    }
    if status != "preparing":
        _hand_over(history, order)
    if status == "delivered":
        order |= {"status": status, "delivered_at": order["estimated_delivery_at"]}
    history.orders.append(order)
    return order


def _hand_over(history: _Shop, order: Row) -> None:
    dice = history.dice
    order |= {
        "status": "shipped",
        "tracking_id": history.new_id(),
        "shipping_service": dice.choice(_CARRIERS),
        "estimated_delivery_at": order["created_at"] + timedelta(days=dice.randint(2, 7)),
    }


def _ship(history: _Shop, count: int) -> None:
    """Hand over as many of the orders that wait."""
    waiting = [order for order in history.orders if order["status"] == "preparing"]
    for order in history.dice.sample(waiting, count):
        _hand_over(history, order)


def _package_events(history: _Shop) -> None:
    """A parcel on its way is an event of the session in which it was ordered."""
    checkouts = {event["order_id"]: event for event in history.events if event["event_type"] == "checkout"}
    for order in history.orders:
        if order["status"] != "preparing":
            checkout = checkouts[order["order_id"]]
            session = {"session_id": checkout["session_id"], "user_id": checkout["user_id"]}
            at = order["created_at"] + timedelta(hours=20)
            url = _url("shipping", order)
            history.event(session, "package_shipped", at, page_url=url, order_id=order["order_id"])


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _url(page: str, row: Row) -> str:
    return f"https://greenery.example/{page}/{row['product_id' if page == 'product' else 'order_id']}"


def _edited(table: pa.Table, changes: Callable[[int, Row], Row]) -> pa.Table:
    """The table with some columns of each row replaced; `changes` gets the row's number and the row."""
    rows = [{**row, **changes(number, row)} for number, row in enumerate(table.to_pylist())]
    return pa.Table.from_pylist(rows, schema=table.schema)


def _not_loaded_for_days(table: pa.Table) -> pa.Table:
    """The event tracker delivers nothing: what lies there is three days old."""
    return _edited(table, lambda _, row: {"loaded_at": row["loaded_at"] - timedelta(days=3)})


def _renamed_discount(table: pa.Table) -> pa.Table:
    """The promotions team renames a column and tells nobody."""
    return table.rename_columns(["discount_usd" if name == "discount" else name for name in table.column_names])


def _returns_as_items(table: pa.Table) -> pa.Table:
    """Returned goods come as items with negative quantities."""
    return _edited(table, lambda number, row: {"quantity": -row["quantity"]} if number % 60 == 7 else {})


def _items_twice(table: pa.Table) -> pa.Table:
    """A batch of items is delivered twice."""
    return pa.concat_tables([table, table.slice(100, 3)])


def _users_without_phone(table: pa.Table) -> pa.Table:
    """A new sign-up form no longer asks for a phone number."""
    return _edited(table, lambda number, _: {"phone_number": None} if number >= _USERS - 4 else {})


_FAULTS: Mapping[str, tuple[Callable[[pa.Table], pa.Table], ...]] = {
    "events": (_not_loaded_for_days,),
    "promos": (_renamed_discount,),
    "order_items": (_returns_as_items, _items_twice),
    "users": (_users_without_phone,),
}


def land_in_duckdb(tables: Tables, database: Path) -> None:
    """Replace the raw tables in a DuckDB file, all of them or none. Timestamps become UTC without a zone."""
    with duckdb.connect(database) as connection:
        connection.begin()
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        for name, table in tables.items():
            naive = [
                pa.field(each.name, pa.timestamp("us") if each.type == _MOMENT else each.type) for each in table.schema
            ]
            connection.register("landed", table.cast(pa.schema(naive)))
            connection.execute(f"CREATE OR REPLACE TABLE {SCHEMA}.{name} AS SELECT * FROM landed")  # noqa: S608
            connection.unregister("landed")
        connection.commit()


def main() -> None:
    """Land one morning's raw tables in a DuckDB file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--database", type=Path, required=True, help="DuckDB file; made if it is not there")
    parser.add_argument("--morning", type=int, choices=MORNINGS, default=MORNINGS[0], help="which morning (default 1)")
    arguments = parser.parse_args()
    tables = shop(arguments.morning, datetime.now(UTC))
    land_in_duckdb(tables, arguments.database)
    print(", ".join(f"{name} {table.num_rows}" for name, table in tables.items()))


if __name__ == "__main__":
    main()
