"""How many files and connections this process may have open: as many as the system lets it, within reason."""

import logging

try:
    import resource
except ImportError:  # not on this platform, where nothing bounds them
    resource = None  # type: ignore[assignment]

log = logging.getLogger("reelhook.open_files")

ENOUGH = 65_536


def allow_files() -> None:
    """Raise the soft limit, which is 1024 on many systems or less, up to the hard one: every connection is a file, and
    a process that has too many takes no callbacks either."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        wanted = soft
    else:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:  # some systems have a second bound, which they do not tell
            log.warning("open_files.not_raised limit=%d wanted=%d error=%r", soft, wanted, str(error))
            return
    log.info("open_files.allowed limit=%d before=%d", wanted, soft)


def files_allowed() -> int:
    """How many there may be at once, `ENOUGH` at most."""
    if resource is None:
        return ENOUGH
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else min(soft, ENOUGH)
