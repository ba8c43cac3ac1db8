"""Pages on video sites, read by yt-dlp in a process that can do nothing else: see
``docs/by-url.md``.

The parent (``reader``) starts a process for each page (``worker``). It loads yt-dlp, gives up all
its rights as those do that decode, and then asks the parent for every request that the page takes
(``transport``). The parent sends those that it finds proper (``errand``), under the guard that
every URL is under. What comes out is the URL of a video, which is looked at like any other. Only
``worker``, ``transport`` and ``library`` run where hostile pages are read; nothing else imports
yt-dlp.
"""
