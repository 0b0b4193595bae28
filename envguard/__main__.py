"""The ``envguard`` command: the version at once, everything else through the command line."""

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from envguard import __version__

        try:
            sys.stdout.write(f"envguard {__version__}\n")
            sys.stdout.flush()
        except OSError as error:
            sys.exit(f"error: {error.strerror}")
        return
    from envguard.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
