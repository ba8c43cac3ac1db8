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
from collections.abc import Callable, Iterable

from service.errors import Busy, OtherReplica, UnknownJob
from service.settings import JobSettings
from service.work import Work

_TOKEN_BYTES = 16
_SHARE = 0.5
"""So much of all jobs, and of all bytes of results, one caller may hold."""

_ID = re.compile(r"(?P<replica>[a-z0-9-]{1,63})-(?P<token>[0-9a-f]{32})")


class Job:
    """One video whose report is fetched later. ``work`` is None while the video arrives."""

    def __init__(self, identity: str, owner: str, caller: str = "") -> None:
        self.id, self.owner, self.caller = identity, owner, caller
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

    @property
    def spare(self) -> bool:
        """Whether it is over and nobody waits for a result of it."""
        failed = self.work is not None and self.work.outcome is not None and not self.size
        return self.expires is not None and (self.fetched or failed)


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
        return _kept(self._jobs.values())

    @property
    def unfetched(self) -> bool:
        """Whether a result waits that nobody has seen."""
        return any(job.expires is not None and not job.fetched for job in self._jobs.values())

    def open(self, owner: str, caller: str = "") -> Job:
        """Take room for one more job; where the caller has its share already, in place of those of
        its own that failed or were fetched. Raises ``Busy``."""
        if not self._fits(caller, 1):
            raise self._busy(self._of(caller), "As much is kept as one caller may have.")
        own = self._of(caller)
        if len(own) >= max(1, self._settings.most * _SHARE):
            spare = next((job for job in own if job.spare), None)
            if spare is None:
                raise self._busy(own, "As many jobs are held as one caller may have.")
            self.drop(spare)
        if len(self._jobs) >= self._settings.most or self.bytes >= self._settings.bytes:
            raise self._busy([*self._jobs.values()], "As many jobs are held as may be.")
        job = Job(f"{self._replica}-{secrets.token_hex(_TOKEN_BYTES)}", owner, caller)
        self._jobs[job.id] = job
        return job

    def _of(self, caller: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.caller == caller]

    def _fits(self, caller: str, size: int) -> bool:
        """Whether so many more bytes are within the caller's share; for them those of its results
        go that were fetched, the oldest first."""
        own = self._of(caller)
        over = _kept(own) + size - self._settings.bytes * _SHARE
        for job in own:
            if over > 0 and job.fetched and job.expires is not None:
                over -= job.size
                self.drop(job)
        return over <= 0

    def _busy(self, held: list[Job], detail: str) -> Busy:
        self._shed("jobs")
        soonest = min((job.expires or float("inf") for job in held), default=float("inf"))
        return Busy(detail, retry_after=min(60.0, max(1.0, soonest - time.monotonic())))

    def ended(self, job: Job) -> None:
        """Its work is over: keep the result for its time, if there is room for it."""
        if job.id not in self._jobs or job.work is None:
            return
        if not self._fits(job.caller, job.size) or self.bytes + job.size > self._settings.bytes:
            job.work.replace(Busy("There was no room to keep the result."))
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


def _kept(jobs: Iterable[Job]) -> int:
    return sum(job.size for job in jobs if job.expires is not None)
