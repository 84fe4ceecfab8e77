"""The command line ``storygen``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from orchestrator.errors import StorygenError, error_table

EXAMPLES = """
\b
examples:
  storygen run examples/crow.md                        a film in runs/crow/final.mp4
  storygen run my.md --pictures photos --out runs/my   with your own pictures
  storygen run my.md --set film.width=1920 --set film.height=1080
  storygen call media_processing probe --input request.json
  storygen check film.mp4
"""


class Interrupted(KeyboardInterrupt):
    """SIGTERM or a closed terminal: ends a run as tidily as Ctrl+C does."""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option("0.1.0", prog_name="storygen")
def cli() -> None:
    """Turn a story into a narrated short video."""


@cli.command()
@click.argument("story", type=click.Path(path_type=Path), required=False)
@click.option("--idea", help="An idea instead of a story; needs a profile with a text model.")
@click.option("--profile", default="draft", show_default=True, help="Name of a profile, or the path of a .toml file.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; default runs/<name of the story>.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="Folder with your own pictures, one a shot in order of their names.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one value of the profile; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Progress and result as JSON lines on stdout.")
def run(
    story: Path | None,
    idea: str | None,
    profile: str,
    out: Path | None,
    pictures: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the film of STORY, a text or Markdown file. The same command again continues or does nothing.

    \b
    The file may begin with two lines:
      title: The Crow and the Pitcher
      language: en
    """
    from orchestrator import profile as profiles
    from orchestrator.pipeline import make_film
    from orchestrator.progress import report_for

    chosen = profiles.load(profile, settings)
    if story is None:
        raise _no_story(idea, profile, chosen)
    if pictures is not None:
        chosen["keyframes"]["engine_options"]["pictures"] = str(_folder(pictures))
    folder = out or Path("runs") / story.stem
    report = report_for(as_json=as_json)
    try:
        manifest = make_film(story, chosen, folder, report)
    finally:
        report.close()
    if as_json:
        click.echo(json.dumps({"type": "run_done", "folder": str(folder.resolve()), "manifest": manifest}))
    else:
        click.echo(_summary(manifest, folder), err=True)


@cli.command()
@click.argument("family")
@click.argument("op")
@click.option(
    "--input",
    "source",
    required=True,
    help="JSON file with the operation's input (or a whole request); - is standard input.",
)
@click.option("--engine", default="auto", show_default=True, help="Engine that does it.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    show_default=True,
    help="Folder for the files.",
)
def call(family: str, op: str, source: str, engine: str, output_dir: Path) -> None:
    """Have one worker do one operation and print its result.

    \b
    example:
      echo '{"text": "Hello there."}' | storygen call speech_synthesis synthesize --input -
    """
    from orchestrator.pool import Pool

    given = _json(source)
    request = given if "v" in given else {"v": 1, "op": op, "engine": engine, "input": given}
    request = {"output_dir": str(output_dir.resolve()), "output_name": op, **request}
    with Pool() as pool:
        result = pool.request(family, _with_absolute_files(request))
    click.echo(json.dumps(result, indent=2, ensure_ascii=False))


@cli.command()
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--profile", default="draft", show_default=True, help="Profile that says what the film must be.")
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the profile.")
def check(film: Path, profile: str, settings: tuple[str, ...]) -> None:
    """Hold a finished FILM against what storygen promises; exit code 73 names what is wrong."""
    from orchestrator import profile as profiles
    from orchestrator import quality
    from orchestrator.pool import Pool

    wanted = profiles.load(profile, settings)["film"]
    request = {"v": 1, "op": "probe", "input": {"media": str(film.absolute()), "loudness": True}}
    with Pool() as pool:
        facts = pool.request("media_processing", request)["output"]
    faults = quality.faults(facts, wanted)
    if faults:
        raise StorygenError("output_failed", f"{film} is not as promised.", details=faults)
    click.echo(
        f"{film}: good ({facts['loudness']['integrated_lufs']} LUFS, {facts['loudness']['true_peak_dbtp']} dBTP)"
    )


def _no_story(idea: str | None, name: str, profile: dict[str, Any]) -> StorygenError:
    if idea is None:
        return StorygenError("usage", "There is no story to tell.", "Give a text file: storygen run examples/crow.md")
    return StorygenError(
        "unsupported_capability",
        f"The profile {name} has no text model, so it cannot make a story from the idea {idea!r}.",
        "Write the story into a text file and run: storygen run STORY.md",
    )


def _folder(pictures: Path) -> Path:
    if not pictures.is_dir():
        raise StorygenError(
            "input_not_found",
            f"There is no folder {pictures}.",
            "--pictures takes the folder that holds your pictures.",
        )
    return pictures.resolve()


def _json(source: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
        value = json.loads(text)
    except OSError as error:
        raise StorygenError("input_not_found", f"Cannot read {source}: {error.strerror}.") from error
    except ValueError as error:
        raise StorygenError("invalid_request", f"{source} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise StorygenError("invalid_request", f"{source} holds a JSON {type(value).__name__}; it must be an object.")
    return value


def _with_absolute_files(value: Any) -> Any:
    """Relative names of existing files become absolute: a warm worker takes no relative ones."""
    if isinstance(value, dict):
        return {key: _with_absolute_files(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_absolute_files(item) for item in value]
    if isinstance(value, str) and 0 < len(value) < 4096 and "\n" not in value and not os.path.isabs(value):
        try:
            return str(Path(value).absolute()) if Path(value).is_file() else value
        except (OSError, ValueError):
            return value
    return value


def _summary(manifest: dict[str, Any], folder: Path) -> str:
    made = sum(stage["made"] for stage in manifest["stages"].values())
    video, lufs = manifest["facts"]["video"], manifest["facts"]["loudness"]["integrated_lufs"]
    size, shots = f"{video['width']}×{video['height']}", f"{len(manifest['shots'])} shots"
    lines = [
        f"{manifest['title']}: {folder / 'final.mp4'}",
        f"  {size}, {video['fps']:g} fps, {video['duration_s']:.1f} s, {shots}, {lufs:.1f} LUFS",
        f"  {made} items made in {manifest['seconds']:.1f} s" if made else "  nothing had changed; nothing was done",
    ]
    if not manifest["language_given"]:
        lines.append("  language: assumed to be English; a line 'language: xx' at the top of the story says otherwise")
    lines += [
        f"  warning: {warning['stage']} {warning['item']}: {warning['message']}" for warning in manifest["warnings"]
    ]
    return "\n".join(lines)


def main() -> NoReturn:
    """Run the command line; every end is an exit code of the error table."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli.main(standalone_mode=False, prog_name="storygen")
    except StorygenError as error:
        _fail(error)
    except click.UsageError as error:
        error.show()
        sys.exit(error_table()["usage"]["exit"])
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped. Finished work is kept: the same command continues.", err=True)
        sys.exit(error_table()["cancelled"]["exit"])
    sys.exit(0)


def _fail(error: StorygenError) -> NoReturn:
    click.echo(f"error: {error.message}", err=True)
    for detail in error.details:
        if detail not in error.message:
            click.echo(f"  {detail}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    sys.exit(error.exit_code)
