"""libespeak-ng through ctypes: a fresh copy for each request, events out, nothing else.

Fresh, because the library keeps state that no call resets (where the pitch flutter is, what odd characters left in its
buffers): the same text would sound different the second time, and now and then wrong. Closing the shared library and
opening it again takes a millisecond and gives the same bytes every time.

Source of the constants: espeak-ng's speak_lib.h, API revision 12.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import WorkerError

RATE, PITCH, RANGE, WORD_GAP = 1, 3, 4, 7  # espeak_PARAMETER
SLOWEST = 80
"""The library reads no slower than this many nominal words a minute, and does not say so."""
_SYNCHRONOUS, _DONT_EXIT, _POS_CHARACTER = 2, 0x8000, 1
_PLAIN_UTF8 = 1  # without espeakSSML (0x10) and espeakPHONEMES (0x100): text is read out, never obeyed
_WORD_EVENT, _END_EVENT = 1, 5
_LONGEST_PATH = 140  # bytes; the library cuts longer ones off at 160, file name included, and still reports success
_OPEN = threading.Lock()  # one copy at a time: a second handle would keep the first one's state alive
# Control characters carry espeak's embedded commands (\x01) or end the text (\0); U+FFFD upsets its decoder
# (github.com/espeak-ng/espeak-ng/issues/859); a lone surrogate has no UTF-8.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff]")


@dataclass(frozen=True)
class Event:
    """``sample`` is where in the sound the word at character ``position`` begins, or (``is_end``) a clause is over."""

    position: int
    sample: int
    is_end: bool


@dataclass(frozen=True)
class Speech:
    """16-bit mono ``pcm`` and its events in order of time."""

    pcm: bytes
    sample_rate: int
    events: list[Event]


@dataclass(frozen=True)
class Voice:
    """``languages`` are lower-case tags with their rank: the lower, the better the voice stands for that language."""

    id: str
    name: str
    languages: tuple[tuple[str, int], ...]
    gender: str | None


class _EventRecord(ctypes.Structure):
    class _Id(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class _VoiceRecord(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p), ("languages", ctypes.c_void_p), ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte), ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte), ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int), ("spare", ctypes.c_void_p),
    ]  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EventRecord))


@contextmanager
def open_library() -> Iterator[Library]:
    """A copy of libespeak-ng that nobody has used. Raises WorkerError ``engine_unavailable`` when it cannot be had."""
    import espeakng_loader

    with _OPEN, ExitStack() as stack:
        data = stack.enter_context(_short_path(Path(espeakng_loader.get_data_path())))
        try:
            foreign = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise WorkerError(
                "engine_unavailable",
                f"libespeak-ng cannot be loaded: {error}",
                hint="Reinstall the package espeakng-loader.",
            ) from error
        stack.callback(_close, foreign)
        encoding = "mbcs" if sys.platform == "win32" else sys.getfilesystemencoding()
        rate = foreign.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(encoding), _DONT_EXIT)
        stack.callback(foreign.espeak_Terminate)
        library = Library(foreign, rate)
        if rate <= 0 or not library.voices():  # without its data the library reports success and is mute
            raise WorkerError(
                "engine_unavailable",
                f"espeak finds no voices in {data}.",
                hint="Reinstall the package espeakng-loader, in a folder with a shorter path if this one is long.",
            )
        yield library


class Library:
    """One open copy. Not for two threads at once."""

    def __init__(self, foreign: ctypes.CDLL, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        foreign.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        foreign.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        foreign.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        foreign.espeak_SetParameter.argtypes = [ctypes.c_int] * 3
        foreign.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._foreign = foreign

    def voices(self) -> list[Voice]:
        """All voices, each of one language, in the library's order."""
        return self._listed(None)

    def variants(self) -> list[Voice]:
        """Timbres that can be laid over any voice; a variant's ``id`` is its bare name, such as f3."""
        key = ctypes.create_string_buffer(b"variant")
        wanted = _VoiceRecord(languages=ctypes.addressof(key))
        found = self._listed(ctypes.addressof(wanted))
        return [Voice(voice.id.removeprefix("!v/"), voice.name, (), voice.gender) for voice in found]

    def set_voice(self, name: str) -> None:
        """Choose a voice by its id, with ``+variant`` behind it if wanted; both must be listed ones."""
        self._expect("espeak_SetVoiceByName", self._foreign.espeak_SetVoiceByName(name.encode()))

    def set_parameter(self, parameter: int, value: int) -> None:
        """RATE in nominal words a minute, PITCH and RANGE 0 to 100, WORD_GAP in 10 ms at the default rate."""
        self._expect("espeak_SetParameter", self._foreign.espeak_SetParameter(parameter, value, 0))

    def synthesize(self, text: str, at: Callable[[int], None]) -> Speech:
        """Read ``text`` out. ``at`` hears about every 60 ms of sound how many characters are done.

        What ``at`` raises ends the synthesis at once and is raised here: no exception may cross the C code between.
        """
        pcm, events, raised = bytearray(), list[Event](), list[BaseException]()
        done = 0

        def hear(wave: ctypes._Pointer[ctypes.c_short], samples: int, records: ctypes._Pointer[_EventRecord]) -> int:
            nonlocal done
            try:
                if wave and samples > 0:
                    pcm.extend(ctypes.string_at(wave, 2 * samples))
                for event in _events(records):
                    events.append(event)
                    done = max(done, min(event.position, len(text)))
                at(done)
            except BaseException as error:  # noqa: BLE001 - Cancelled and KeyboardInterrupt too; raised again below
                raised.append(error)
                return 1
            return 0

        callback = _CALLBACK(hear)
        self._foreign.espeak_SetSynthCallback(callback)
        readable = _UNREADABLE.sub(" ", text).encode() + b"\0"
        status = self._foreign.espeak_Synth(readable, len(readable), 0, _POS_CHARACTER, 0, _PLAIN_UTF8, None, None)
        if raised:
            raise raised[0]
        self._expect("espeak_Synth", status)
        return Speech(bytes(pcm), self.sample_rate, events)

    def _listed(self, wanted: int | None) -> list[Voice]:
        records = self._foreign.espeak_ListVoices(wanted)
        found, index = [], 0
        while records[index]:
            record = records[index].contents
            gender = {1: "male", 2: "female"}.get(record.gender)
            languages = tuple(_languages(record.languages))
            found.append(Voice(record.identifier.decode(), record.name.decode().strip(), languages, gender))
            index += 1
        return found

    @staticmethod
    def _expect(call: str, status: int) -> None:
        if status:
            raise WorkerError("internal_error", f"{call} answered {status}.")


def _events(records: ctypes._Pointer[_EventRecord]) -> Iterator[Event]:
    """The events of one callback; the list ends with a record of type 0. espeak counts characters from one."""
    index = 0
    while kind := records[index].type:
        if kind in {_WORD_EVENT, _END_EVENT}:
            yield Event(max(0, records[index].text_position - 1), records[index].sample, kind == _END_EVENT)
        index += 1


def _languages(address: int) -> Iterator[tuple[str, int]]:
    """A voice's languages: per language a byte of rank and a string, then a zero byte."""
    while rank := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield tag.decode().lower(), rank
        address += len(tag) + 2


@contextmanager
def _short_path(path: Path) -> Iterator[Path]:
    """The folder itself, or a link to it when its path is longer than espeak can hold."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        link = Path(folder) / "data"
        try:
            link.symlink_to(path, target_is_directory=True)
        except OSError as error:
            raise WorkerError(
                "engine_unavailable",
                f"espeak cannot read its data from a path of over {_LONGEST_PATH} bytes: {path}",
                hint="Install in a folder with a shorter path.",
            ) from error
        yield link


def _close(foreign: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(foreign._handle)
    else:
        _ctypes.dlclose(foreign._handle)
