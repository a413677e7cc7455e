"""Files of builds that a store takes, where the CI server does not upload them itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from delivr.outbound import Download
from releases.cards import downloads_of
from releases.models import ReleaseTarget
from submissions.models import Submission, store_of


@dataclass(frozen=True)
class Uploadable:
    """`place` is the file's among the artifacts of the build."""

    name: str
    build: str
    number: int | None
    place: str

    @property
    def title(self) -> str:
        return _("%(file)s of build #%(number)d") % {"file": self.name, "number": self.number}

    @property
    def stored(self) -> dict[str, str]:
        return {"name": self.name, "build": self.build, "place": self.place}


def uploadable(part: ReleaseTarget) -> list[Uploadable]:
    """Of the newest builds for a release's target. Makes a query for each of its pipelines."""
    return list(_uploadable(part))


def _uploadable(part: ReleaseTarget) -> Iterator[Uploadable]:
    suffix = store_of(part.target).uploads
    if not suffix:
        return
    mine = part.release.pipelines.filter(pipeline__target=part.target_id)
    for pipeline in mine.select_related("pipeline"):
        build = pipeline.builds.order_by("-attempt").first()
        if build is None:
            continue
        for place, name in downloads_of(pipeline.pipeline, build):
            if name.lower().endswith(suffix):
                yield Uploadable(name, build.pk, build.number, place)


def find_file(part: ReleaseTarget, *, name: str, number: str) -> dict[str, str]:
    """The file with this name as a submission keeps it; of several, that of the build with this
    number. {} if there is none."""
    found = [file for file in uploadable(part) if file.name == name]
    found.sort(key=lambda file: str(file.number) != number)
    return found[0].stored if found else {}


def open_file(row: Submission) -> Download:
    """The file that was chosen, at its CI server (network). Raises ProviderError."""
    opened: Download = import_string(settings.OPEN_ARTIFACT)(
        tenant_id=row.tenant_id, build_id=row.file["build"], place=row.file["place"]
    )
    return opened
