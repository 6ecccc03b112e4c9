"""`MonitorTable`: what the records of a monitor share on the screen."""

import html
from abc import ABC, abstractmethod

__all__ = ["MonitorTable"]


class MonitorTable(ABC):
    """A record that tells itself in words."""

    __slots__ = ()

    @abstractmethod
    def text(self) -> str:
        """Write the record in lines of text."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.text()}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"
