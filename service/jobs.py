"""Results kept for clients that do not wait for them. Never media, and never on a disk.

A job lives in the process that took its video. Its id names that process, so that another one can
tell a job it cannot know from one that does not exist; whoever routes requests to several of them
can go by the id.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable

from service.errors import Busy, OtherReplica, UnknownJob
from service.settings import JobSettings
from service.work import Work

_TOKEN_BYTES = 16
_ID = re.compile(r"(?P<replica>[a-z0-9-]{1,63})-(?P<token>[0-9a-f]{32})")


class Job:
    """One video whose report is fetched later. ``work`` is None while the video arrives."""

    def __init__(self, identity: str, owner: str) -> None:
        self.id, self.owner = identity, owner
        self.work: Work | None = None
        self.fetched = False
        """Whether anybody has seen how it ended."""
        self.expires: float | None = None
        """On the monotonic clock; None until it has ended."""
        self.forgetting: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """Bytes of the result kept."""
        outcome = self.work.outcome if self.work else None
        return len(outcome.report) if outcome else 0


class Jobs:
    """The jobs of this process, bounded in number, time and bytes.

    ``shed`` is told when a video is refused because no job has room.
    """

    def __init__(self, settings: JobSettings, shed: Callable[[str], None]) -> None:
        self._settings, self._shed = settings, shed
        self._replica = settings.replica or secrets.token_hex(4)
        self._jobs: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def bytes(self) -> int:
        """Of all results kept."""
        return sum(job.size for job in self._jobs.values() if job.expires is not None)

    @property
    def unfetched(self) -> bool:
        """Whether a result waits that nobody has seen."""
        return any(job.expires is not None and not job.fetched for job in self._jobs.values())

    def open(self, owner: str) -> Job:
        """Take room for one more job. Raises ``Busy``."""
        full = len(self._jobs) >= self._settings.most
        if full or self.bytes >= self._settings.bytes:
            self._shed("jobs")
            soonest = min(job.expires or float("inf") for job in self._jobs.values())
            wait = min(60.0, max(1.0, soonest - time.monotonic()))
            raise Busy("As many jobs are held as may be.", retry_after=wait)
        job = Job(f"{self._replica}-{secrets.token_hex(_TOKEN_BYTES)}", owner)
        self._jobs[job.id] = job
        return job

    def ended(self, job: Job) -> None:
        """Its work is over: keep the result for its time, if there is room for it."""
        if job.id not in self._jobs or job.work is None:
            return
        if self.bytes + job.size > self._settings.bytes:
            job.work.replace(Busy("The result did not fit beside those of other jobs."))
        job.expires = time.monotonic() + self._settings.seconds
        loop = asyncio.get_running_loop()
        job.forgetting = loop.call_later(self._settings.seconds, self.drop, job)

    def get(self, identity: str, owner: str) -> tuple[Job, Work]:
        """The owner's job. Raises ``OtherReplica`` and ``UnknownJob``."""
        match = _ID.fullmatch(identity)
        if match and match["replica"] != self._replica:
            raise OtherReplica("Another replica holds this job; its name is in the id.")
        job = self._jobs.get(identity)
        if job is None or job.work is None or job.owner != owner:
            raise UnknownJob("There is no job of this id.")
        return job, job.work

    def drop(self, job: Job) -> None:
        """Forget a job; its work, if any, is the caller's to cancel."""
        self._jobs.pop(job.id, None)
        if job.forgetting is not None:
            # The loop would hold the job, and so its result, until then.
            job.forgetting.cancel()
