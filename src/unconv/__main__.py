"""``python -m unconv``: the same as the ``unconv`` command."""

from unconv.cli.main import run

if __name__ == "__main__":
    run()
