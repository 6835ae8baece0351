"""Elements of HTML whose text is text."""

from nicegui.element import Element


class Tag(Element):
    """An element of HTML. Nothing in its text is read as HTML."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name)
        self._text = text

    @property
    def text(self) -> str:
        """What stands in it."""
        return self._text or ""

    @text.setter
    def text(self, value: str) -> None:
        if value != self._text:
            self._text = value
            self.update()

    def set_text(self, value: str) -> None:
        """As `text`, for who wants a function."""
        self.text = value
