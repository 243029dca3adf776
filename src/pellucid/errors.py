"""Everything that Pellucid refuses on purpose.

    PellucidError             the root: catch this to catch them all
    ├── ImageError            an image cannot be read, or is not what the model takes
    ├── DataError             a source of images is missing, empty or malformed
    ├── ConfigError           a setting is out of range or contradicts another
    ├── BatchError            a batch is too small or too large for an estimator
    ├── RunError              a run directory is missing, damaged, or from another version
    ├── LatentError           a latent or its name does not exist, or the name is refused
    ├── TrainingError         training diverged, or a checkpoint could not be written
    ├── BusyError             another program is writing the same file or folder
    └── MissingExtraError     an optional dependency is needed

A message says what was expected, what came, and what to do next.
"""


class PellucidError(Exception):
    """The root of Pellucid's errors; the command line prints it in one line and exits with 2."""


class ImageError(PellucidError):
    """An image cannot be read, or is not what the model takes."""


class DataError(PellucidError):
    """A source of images is missing, empty or malformed."""


class ConfigError(PellucidError):
    """A setting is out of range or contradicts another."""


class BatchError(PellucidError):
    """A batch is too small or too large for an estimator."""


class RunError(PellucidError):
    """A run directory is missing, damaged, or from another version."""


class LatentError(PellucidError):
    """A latent or its name does not exist, or the name is refused."""


class TrainingError(PellucidError):
    """Training diverged, or a checkpoint could not be written."""


class BusyError(PellucidError):
    """Another program is writing the same file or folder."""


class MissingExtraError(PellucidError):
    """An optional dependency is needed."""
