"""`footfall` and `python -m footfall`."""

from footfall.command_line import app


def main() -> None:
    """Run the command line; leaves with the command's exit code."""
    app(prog_name="footfall")


if __name__ == "__main__":
    main()
