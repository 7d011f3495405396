"""Messages: what stands in them, names and other errors, is one printable line."""

from __future__ import annotations

from unconv.errors import one_line, printable


def test_names_print_on_one_line() -> None:
    assert printable("a\nb\x1b[31m.png") == "a\\nb\\x1b[31m.png"
    assert printable("grün €.png") == "grün €.png"
    # What os.listdir returns for a name that is not UTF-8.
    printable(b"caf\xe9.png".decode("utf-8", "surrogateescape")).encode()
    assert one_line(OSError(2, "No such file")) == "No such file"
