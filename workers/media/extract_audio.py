"""The sound of any file, as a file of its own."""

from __future__ import annotations

from typing import Any

from media.formats import SOUNDS, check_rate, copied_sound, write_sound
from media.tracks import Sound, check_span, look
from runtime.context import Context


def extract_audio(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``extract_audio``; see its schema."""
    check_rate(input["sample_rate"], input["format"])
    media = look(input["media"])
    sound = media.heard()
    check_span(input["start_s"], None, sound.end_s, what="its sound")
    check_span(input["start_s"], input["end_s"], media.duration_s)
    wanted = {name: input[name] for name in ("sample_rate", "channels", "start_s", "end_s")}
    audio, copied = sound_file(sound, input["format"], context, **wanted)
    return {"audio": audio, "copied": copied}


def sound_file(
    sound: Sound,
    name: str,
    context: Context,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
) -> tuple[dict[str, Any], bool]:
    """(artifact, whether nothing was encoded) of a sound in the format ``name``."""
    as_it_is = (
        sound.codec in SOUNDS[name].same
        and not sound.late_s
        and not start_s
        and end_s is None
        and sample_rate in {None, sound.sample_rate}
        and channels in {None, sound.channels}
    )
    if as_it_is:
        path = copied_sound(sound, name, context)
        context.progress("encode", round(sound.duration_s, 3), round(sound.duration_s, 3), "seconds")
    else:
        path = write_sound(
            sound,
            name,
            context,
            sample_rate=sample_rate,
            channels=channels,
            start_s=start_s or 0.0,
            end_s=end_s,
            reporting=True,
        )
    return context.publish(path, SOUNDS[name].media_type, **look(str(path)).facts()), as_it_is
