"""The errors that are the user's to mend, and how they are shown."""


class UserError(Exception):
    """A mistake in what the user gave: shown as one line, exit status 2, no traceback.

    Arguments say what, where, what was found, what is expected, and what to do:
    ``UserError("broken line", where="train.txt, line 3", found="'abc'",
    expected="VIDEO start_s end_s##sentence", do="mend or remove the line")``.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = "",
        found: object = "",
        expected: object = "",
        do: str = "",
    ) -> None:
        parts = [f"{where}: {what}" if where else what]
        if found != "":
            parts.append(f"found {found}")
        if expected != "":
            parts.append(f"expected {expected}")
        line = ", ".join(parts)
        if do:
            line = f"{line}; {do}"
        super().__init__(" ".join(line.split()))
