"""Re-encrypt every stored secret with the first of FERNET_KEYS.

What is already encrypted with it is passed over, so an interrupted run is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import models, transaction

from delivr.secrets import Secret, SecretTextField, SecretUnreadable, secret_fields
from delivr.signin.sealing import resealed

BATCH = 100  # rows locked at a time, for some milliseconds


@dataclass
class Rotation:
    rotated: int = 0
    unreadable: list[str] = field(default_factory=list)  # ids of rows, each once


def rotate_secrets(on_batch: Callable[[Rotation], None] = lambda _: None) -> Rotation:
    """Rotate everything, batch by batch; `on_batch` is told how far it is.

    Rows are locked while their batch is written, so an edit at the same time comes before or after
    it and is never undone. A secret that no key opens is left as it is and named.
    """
    result = Rotation()
    for model in apps.get_models():
        if not secret_fields(model) or model._meta.proxy:
            continue
        last: Any = None
        while (last := _rotate_batch(model, last, result)) is not None:
            on_batch(result)
    _rotate_factors(result)
    on_batch(result)
    return result


def _rotate_factors(result: Rotation) -> None:
    """allauth's table of second factors, whose secrets lie within JSON."""
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if factor is not None:
                _rotate_factor(factor, result)


def _rotate_factor(factor: Authenticator, result: Rotation) -> None:
    try:
        fresh = resealed(factor)
    except SecretUnreadable:
        result.unreadable.append(name_of(factor))
        return
    if fresh:
        factor.data.update(fresh)
        factor.save(update_fields=["data"])
        result.rotated += len(fresh)


@transaction.atomic
def _rotate_batch(model: type[models.Model], after: Any, result: Rotation) -> Any:
    """One batch in order of the primary key; the last key seen, or None at the end."""
    # no_key: rows that refer to these (a pipeline's repository) can be written meanwhile.
    rows = model._base_manager.select_for_update(no_key=True, of=("self",)).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    batch = list(rows[:BATCH])
    for row in batch:
        _rotate_row(row, result)
    return batch[-1].pk if batch else None


def _rotate_row(row: models.Model, result: Rotation) -> None:
    try:
        fresh = {f.name: secret.rotated() for f, secret in stale_secrets(row)}
    except SecretUnreadable:
        result.unreadable.append(name_of(row))
        return
    if fresh:
        # `update` leaves the row's other columns alone, the time of its last change among them.
        type(row)._base_manager.filter(pk=row.pk).update(**fresh)
        result.rotated += len(fresh)


def name_of(row: models.Model) -> str:
    """Its id, which tells the table by its prefix; with the table where it is a mere number."""
    return row.pk if isinstance(row.pk, str) else f"{row._meta.db_table}:{row.pk}"


def stale_secrets(row: models.Model) -> Iterator[tuple[SecretTextField, Secret]]:
    """The row's secrets that another key than the first encrypted (or none that we have)."""
    fields: Iterable[SecretTextField] = secret_fields(type(row))
    for secret_field in fields:
        secret = getattr(row, secret_field.attname)
        if secret is not None and not secret.is_current:
            yield secret_field, secret
