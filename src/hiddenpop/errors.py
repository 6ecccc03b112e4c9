"""One exception tree and one warning tree.

Every error of the package is a `HiddenpopError`; every leaf also inherits the builtin it refines, so that
``except ValueError`` keeps working. A message says what is wrong, which value, where, and what to do about it.
"""

__all__ = [
    "ArgumentError",
    "CapabilityError",
    "CollapsedStrataWarning",
    "ConstantListWarning",
    "EmptyListWarning",
    "EstimateNotOkError",
    "HiddenpopError",
    "HiddenpopWarning",
    "MissingExtraError",
    "ModelError",
    "PersonYearsWarning",
    "SettingError",
    "TableError",
    "TableSizeError",
    "UnknownNameError",
]


class HiddenpopError(Exception):
    """Base of every error raised by the package."""


class TableError(HiddenpopError, ValueError):
    """A capture table, or the file it was read from, is not what it should be."""


class TableSizeError(HiddenpopError, ValueError):
    """A dense array or a model space would be larger than its stated limit."""


class ModelError(HiddenpopError, ValueError):
    """A model's notation cannot be read, or the model is not a hierarchical model with all main effects."""


class SettingError(HiddenpopError, ValueError):
    """A setting of an estimator or a command has a value it cannot have."""


class ArgumentError(SettingError, TypeError):
    """A function was called with arguments that it does not take, or of another kind."""


class UnknownNameError(HiddenpopError, KeyError):
    """A name of a list, data set, estimator or setting that does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CapabilityError(HiddenpopError, NotImplementedError):
    """An estimator was given a table it has no means to treat correctly."""


class MissingExtraError(HiddenpopError, ImportError):
    """A package that comes with an extra, such as ``hiddenpop[report]``, is not installed."""


class EstimateNotOkError(HiddenpopError, RuntimeError):
    """`Estimate.require_ok` was called on an estimate whose status is not ``"ok"``."""


class HiddenpopWarning(UserWarning):
    """Base of every warning issued by the package."""


class EmptyListWarning(HiddenpopWarning):
    """A list caught nobody; estimators leave it out."""


class ConstantListWarning(HiddenpopWarning):
    """A list caught every observed person, so nobody was seen without it."""


class CollapsedStrataWarning(HiddenpopWarning):
    """An estimator that does not model strata added them up."""


class PersonYearsWarning(HiddenpopWarning):
    """Years were added up, so that a person present in two of them counts twice."""
