"""A codec of the user's own, by reference to its code: no fork, no entry in `CODECS`.

    my_package.module:ENTRY                      ENTRY.model() builds the model: nothing was learned
    my_package.module:ENTRY@mine.safetensors     a model that `csi-lab train my_package.module:ENTRY` made

Both sides pair by a digest over what the model holds and the source of the reference's module: two sides with different
code do not pair. What the module imports is not covered.

A reference is code that runs here. So only one that the user gives is imported, never one that stands in a card: the
file in hand may come from anybody.
"""

import hashlib
import importlib
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch

from shared.codecs.base import CodecEntry
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, count_parameters, load_model, zoo_names

_IDENTIFIER = r"[^\W\d]\w*"
_REFERENCE = re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER}")
_NAME = re.compile(r"(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class OwnModel(ModelFile):
    """A model together with the user's code that runs it.

    Attributes:
        entry: Encoder and decoder.
    """

    entry: CodecEntry


def is_reference(text: str) -> bool:
    """Return whether a text has the form ``package.module:ENTRY``.

    Example:
        >>> is_reference("my_package.module:ENTRY"), is_reference("klt"), is_reference("models/klt.safetensors")
        (True, False, False)
    """
    return _REFERENCE.fullmatch(text) is not None


def load_codec(name: str, option: str = "codec") -> ModelFile:
    """Load what ``--codec`` names: a model of the zoo, a model file, or a codec of the user's own.

    Args:
        name: Name in the zoo, path of a .safetensors file, ``package.module:ENTRY`` or ``package.module:ENTRY@path``.
        option: What the name was given as, for the sentence that finds no such model.

    Returns:
        The model; an `OwnModel` where a reference was given, whose ``card.sha256`` covers the source of its module too.

    Raises:
        DataFileError: If there is no such model, or it is not one of the reference's codec.
        InvalidArgumentError: If the reference leads to no codec, or the model's name may not be used.

    Example:
        >>> load_codec("klt").card.name
        'klt'
    """
    reference, at, path = name.partition("@")
    if not is_reference(reference):
        return load_model(name, option)
    entry = import_entry(reference)
    model = load_model(path, option) if at else _build(reference, entry)
    if model.card.codec != reference:
        raise DataFileError(f"`codec` of model {model.card.name} must be {reference}; got {model.card.codec!r}.")
    require_own_name(reference, model.card.name)
    digest = hashlib.sha256(b"\0".join((_source(reference), model.card.sha256.encode()))).hexdigest()
    return OwnModel(model.card.model_copy(update={"sha256": digest}), model.tensors, entry)


def import_entry(reference: str) -> CodecEntry:
    """Import the codec entry that a reference names.

    Modules are looked for where Python does, and last in the current folder, which console scripts leave out. Last: a
    file there must not stand in for an installed module.

    Args:
        reference: ``package.module:ENTRY``, as the user gave it.

    Raises:
        InvalidArgumentError: If the module cannot be imported, or does not hold a `CodecEntry` of that name.
    """
    module_name, _, attribute = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does as it is imported
        raise InvalidArgumentError(
            f"`codec` {reference} must be importable; got {_reason(module_name, error)}."
        ) from error
    if not hasattr(module, attribute):
        names = [name for name, value in vars(module).items() if isinstance(value, CodecEntry)]
        found = ", ".join(names) or "none"
        raise InvalidArgumentError(f"`codec` {reference} must name a CodecEntry of its module; found there: {found}.")
    entry = getattr(module, attribute)
    if not isinstance(entry, CodecEntry):
        raise InvalidArgumentError(f"`codec` {reference} must be a CodecEntry; got {type(entry).__name__}.")
    return entry


def require_own_name(reference: str, name: str | None) -> None:
    """Raise unless a model of the user's own may have this name: it is what sessions and summaries show.

    Raises:
        InvalidArgumentError: If it is none, has other characters than the zoo's, or is one of the zoo's.
    """
    if name is None or not _NAME.fullmatch(name) or name in zoo_names():
        wanted = f"lower-case words joined by hyphens, and none of {', '.join(zoo_names())}"
        raise InvalidArgumentError(f"`name` of codec {reference} must be {wanted}; got {name!r}.")


def _reason(module_name: str, error: Exception) -> str:
    """Say why a module was not imported, and where: the user sees this line, not the traceback."""
    found = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
        return f"{found}, neither on PYTHONPATH nor in the current folder"
    if isinstance(error, SyntaxError):  # names its line itself
        return found
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{found} ({Path(last.filename).name}, line {last.lineno})"


def _build(reference: str, entry: CodecEntry) -> ModelFile:
    """Build the model of a codec that has no file.

    Its digest covers card and tensors, as that of a file does its tensors.

    Raises:
        InvalidArgumentError: If the entry does not say how, or gives no model.
    """
    if entry.model is None:
        raise InvalidArgumentError(
            f"`codec` {reference} must be given with its model file, {reference}@mine.safetensors: its entry has no "
            f"`model`."
        )
    built = entry.model()
    if not isinstance(built, ModelFile):
        raise InvalidArgumentError(f"`model` of codec {reference} must give a ModelFile; got {type(built).__name__}.")
    changes = {"codec": reference, "num_parameters": count_parameters(built.tensors)}
    card = built.card.model_copy(update=changes)
    parts = (card.model_dump_json().encode(), safetensors.torch.save(built.tensors))
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return ModelFile(card.model_copy(update={"sha256": digest}), built.tensors)


def _source(reference: str) -> bytes:
    """Return the source of the module that a reference names, imported before.

    Raises:
        InvalidArgumentError: If it has none (an extension, say).
    """
    try:
        return inspect.getsource(sys.modules[reference.partition(":")[0]]).encode()
    except (OSError, TypeError) as error:
        raise InvalidArgumentError(
            f"`codec` {reference} must come with its module's source, for the digest; {error}."
        ) from error
