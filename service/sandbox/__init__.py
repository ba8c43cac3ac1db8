"""Reading hostile media in processes that can do nothing else: see ``docs/sandbox.md``.

The parent (``workers``) starts one nursery, a process that has loaded everything and forks a child
for each video. A child gives up all its rights (``confine``), then pulls the media from the parent
and sends crops and plain numbers back (``wire``), which the parent does not trust.
"""
