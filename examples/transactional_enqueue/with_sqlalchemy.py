"""Transactional enqueue with SQLAlchemy 2."""

from uuid import UUID

from sqlalchemy import cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


class Stock(Base):
    __tablename__ = "stock"
    item: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]


def enqueue(session: Session, workflow: str, payload: dict) -> UUID:
    return session.scalar(select(func.broadaxe.enqueue(workflow, cast(payload, JSONB))))


def place_order(session: Session, item: str) -> UUID:
    """Part of the caller's transaction. Without a piece in stock there is neither order nor run."""
    with session.begin_nested():
        order = Order(item=item)
        session.add(order)
        session.flush()  # now the order has its id
        run_id = enqueue(session, "ship-order", {"order_id": order.id})
        session.execute(update(Stock).where(Stock.item == item).values(pieces=Stock.pieces - 1))
        return run_id


def place_order_with_gift(session: Session, item: str, gift: str) -> list[UUID]:
    """The gift is wanted, but not at any price: its savepoint takes its order and its run along."""
    run_ids = [place_order(session, item)]
    try:
        run_ids.append(place_order(session, gift))
    except IntegrityError:
        print(f"no {gift} left to give away")
    return run_ids


def place_orders(session: Session, items: list[str]) -> list[UUID]:
    """The runs start in the order of the items."""
    orders = [Order(item=item) for item in items]
    session.add_all(orders)
    session.flush()
    return [enqueue(session, "ship-order", {"order_id": order.id}) for order in orders]
