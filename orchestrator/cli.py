"""The command line ``storygen``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.errors import StorygenError
from orchestrator.model_commands import models

EXAMPLES = """
\b
examples:
  storygen run examples/crow.md                        a film in runs/crow/final.mp4
  storygen run my.md --pictures photos --out runs/my   with your own pictures
  storygen run my.md --format 16:9 --music song.mp3 --captions soft
  storygen run my.md --dry-run                         what would be made, and why
  storygen run my.md --force keyframes/shot-003        that picture again, and what depends on it
  storygen batch stories.jsonl                         many films, each model loaded once
  storygen status runs/my                              what is done, out of date or missing
  storygen sheet runs/my                               a frame of every shot in one picture
  storygen call media_processing probe --input request.json
  storygen check film.mp4
  storygen doctor                                      is everything there, and if not what to do
"""
FORMATS = {"9:16": (1080, 1920), "16:9": (1920, 1080), "1:1": (1080, 1080)}
"""Shape of the film -> its width and height in pixels."""
CAPTIONS = {
    "burn": "post.input.subtitles_mode=burn",
    "soft": "post.input.subtitles_mode=carry",
    "off": "post.input.subtitles=null",
}
"""Where captions go -> the setting that says so to ``compose``."""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option("0.1.0", prog_name="storygen")
def cli() -> None:
    """Turn a story into a narrated short video."""


cli.add_command(models)


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
@click.option("--music", type=click.Path(path_type=Path), help="File whose sound plays quietly under the narration.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(list(FORMATS)),
    help="Shape of the film: 1080×1920 (the draft's own), 1920×1080 or 1080×1080.",
)
@click.option(
    "--captions",
    type=click.Choice(list(CAPTIONS)),
    help="burn draws them into the picture (the default), soft adds a track that players can switch on.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one value of the profile, also one that --format or --captions set; may be repeated.",
)
@click.option("--from", "first", metavar="STAGE", help="Begin at this stage; what lies before is taken as it is.")
@click.option("--to", "last", metavar="STAGE", help="End after this stage.")
@click.option("--only", metavar="STAGE", help="This stage alone: --from and --to in one.")
@click.option(
    "--force", multiple=True, metavar="STAGE[/ITEM]", help="Make these again, edited ones too; may be repeated."
)
@click.option(
    "--reuse", type=click.Path(path_type=Path), help="Folder of another run, whose items are taken where they fit."
)
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds the run may take.")
@click.option("--dry-run", is_flag=True, help="Say what would be made and why; make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Progress and result as JSON lines on stdout.")
def run(
    story: Path | None,
    idea: str | None,
    profile: str,
    out: Path | None,
    pictures: Path | None,
    music: Path | None,
    shape: str | None,
    captions: str | None,
    settings: tuple[str, ...],
    first: str | None,
    last: str | None,
    only: str | None,
    force: tuple[str, ...],
    reuse: Path | None,
    timeout_s: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the film of STORY, a text or Markdown file. The same command again continues or does nothing.

    \b
    The file may begin with two lines:
      title: The Crow and the Pitcher
      language: en
    """
    from orchestrator import profile as profiles
    from orchestrator.pipeline import Order, make_film
    from orchestrator.progress import report_for

    if story is not None and idea is not None:
        raise StorygenError(
            "usage", f"Both a story, {story}, and an idea were given.", "Give one: the story's file, or --idea."
        )
    implied = [
        f"film.{side}={size}" for side, size in zip(("width", "height"), FORMATS.get(shape or "", ()), strict=False)
    ]
    implied += [CAPTIONS[captions]] if captions else []
    chosen = profiles.load(profile, [*implied, *settings])
    if story is None:
        raise _no_story(idea, profile, chosen)
    if pictures is not None:
        chosen["keyframes"]["engine_options"]["pictures"] = str(_folder(pictures))
    if music is not None:
        chosen["post"]["input"]["music"] = str(_music(music))
    folder = out or _default_folder(story)
    order = Order(only or first, only or last, force, reuse, timeout_s, chosen["run"]["retries"])
    if dry_run:
        _show_plan(story, chosen, folder, order, as_json=as_json)
        return
    report = report_for(as_json=as_json)
    try:
        manifest = make_film(story, chosen, folder, report, order)
    except StorygenError as error:
        kept = 0
        with contextlib.suppress(OSError):
            kept = len(list(folder.glob("*/*/result.json")))
        if kept:
            continues = f"{kept} finished items are kept in {folder}: the same command continues."
            error.hint = f"{error.hint} {continues}" if error.hint else continues
        raise
    finally:
        report.close()
    if as_json:
        click.echo(json.dumps({"type": "run_done", "folder": str(folder.resolve()), "manifest": manifest}))
    else:
        click.echo(_summary(manifest, folder), err=True)


@cli.command()
@click.argument("stories", type=click.Path(path_type=Path))
@click.option("--profile", default="draft", show_default=True, help="Name of a profile, or the path of a .toml file.")
@click.option("--out", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder of the runs.")
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the profile.")
@click.option("--to", "last", metavar="STAGE", help="End after this stage.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds all may take.")
@click.option("--json", "as_json", is_flag=True, help="Progress and result as JSON lines on stdout.")
def batch(
    stories: Path,
    profile: str,
    out: Path,
    settings: tuple[str, ...],
    last: str | None,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Make the films of STORIES, a JSON lines file, stage by stage, so that each model is loaded once.

    One that fails does not stop the others. The exit code is 0, or that of the first that failed.

    \b
    A line of STORIES, story alone is needed:
      {"story": "crow.md", "out": "crow-wide", "profile": "draft", "set": ["film.width=1920"]}
    """
    from orchestrator import batch as batches
    from orchestrator.pipeline import Order
    from orchestrator.progress import reports_for

    read = batches.read(stories, profile, settings, out)
    reports = reports_for([story.folder.name for story in read], as_json=as_json)
    retries = max(story.profile["run"]["retries"] for story in read)
    try:
        batches.make_films(read, reports, Order(last=last, timeout_s=timeout_s, retries=retries))
    finally:
        for report in reports:
            report.close()
    if as_json:
        click.echo(json.dumps({"type": "batch_done", "stories": batches.as_json(read)}))
    else:
        click.echo("\n".join(batches.table(read)), err=True)
    raise click.exceptions.Exit(batches.exit_code(read))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(folder: Path, as_json: bool) -> None:
    """Say what of the run in FOLDER is done, what would be made again and why, and what is missing."""
    from orchestrator import profile as profiles
    from orchestrator.pipeline import Order
    from orchestrator.run import MARK

    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        story, chosen = Path(mark["story"]), profiles.complete(mark["profile"])
    except (OSError, ValueError, KeyError, TypeError, StorygenError):
        raise StorygenError(
            "input_not_found",
            f"{folder} is no run's folder, or its {MARK} is damaged.",
            "Give the folder of a run, such as runs/crow; running its story again mends the file.",
        ) from None
    _show_plan(story, chosen, folder, Order(), as_json=as_json)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The picture; default contact_sheet.jpg in the run's folder."
)
@click.option("--columns", type=click.IntRange(1, 100), default=6, show_default=True, help="Shots side by side.")
@click.option("--cell-width", type=click.IntRange(16, 4096), default=270, show_default=True, help="Pixels a shot.")
def sheet(folder: Path, out: Path | None, columns: int, cell_width: int) -> None:
    """Put a frame of every shot of the film in FOLDER side by side in one picture."""
    from orchestrator.sheet import contact_sheet

    click.echo(contact_sheet(folder, out or folder / "contact_sheet.jpg", columns, cell_width))


@cli.command()
@click.argument("family")
@click.argument("op")
@click.option(
    "--input",
    "source",
    required=True,
    help="JSON file with the operation's input (or a whole request); - is standard input.",
)
@click.option("--engine", help="Engine that does it; default the request's own, else the first that can.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files, the only one that can be written to; default the request's own, else this one.",
)
def call(family: str, op: str, source: str, engine: str | None, output_dir: Path | None) -> None:
    """Have one worker do one operation; the last line it wrote, result or error, is this command's output.

    Relative paths start at the working directory; the exit code is the worker's.

    \b
    example:
      echo '{"text": "Hello there."}' | storygen call speech_synthesis synthesize --input -
    """
    from orchestrator import call as calling

    answer, code = calling.call(family, calling.whole_request(calling.read(source), op, engine), output_dir)
    click.echo(answer)
    sys.exit(code)


@cli.command()
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--profile", default="draft", show_default=True, help="Profile that says what the film must be.")
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the profile.")
def check(film: Path, profile: str, settings: tuple[str, ...]) -> None:
    """Hold a finished FILM against what storygen promises; exit code 73 names what is wrong.

    \b
    A film of another size, rate or loudness than the profile's:
      storygen check film.mp4 --set film.width=1920 --set film.height=1080 --set film.fps=25
      storygen check film.mp4 --set post.input.loudness=podcast    (or broadcast; null: any)
    """
    from orchestrator import profile as profiles
    from orchestrator import quality

    chosen = profiles.load(profile, settings)
    quality.promise(chosen)
    faults = quality.faults(facts := _facts(film), chosen)
    if faults:
        hint = "A film meant to be of another size, rate or loudness: --set film.width=…, film.height, film.fps, "
        raise StorygenError(
            "output_failed", f"{film} is not as promised.", f"{hint}post.input.loudness.", details=faults
        )
    found = facts["loudness"]
    click.echo(f"{film}: good ({found['integrated_lufs']} LUFS, {found['true_peak_dbtp']} dBTP)")


@cli.command()
@click.argument("family", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def describe(family: str | None, as_json: bool) -> None:
    """Say what every worker, or the one of FAMILY, can do here: operations, engines, and why one is not usable."""
    from orchestrator import doctor as doctors

    found = doctors.describe_all(family)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(doctors.describe_lines(found)))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> None:
    """Look whether everything is there and works: Python, FFmpeg, fonts, voice, memory, disk, engines, keys."""
    from dataclasses import asdict

    from orchestrator import doctor as doctors

    found = doctors.check()
    click.echo(json.dumps([asdict(one) for one in found], indent=2) if as_json else "\n".join(doctors.lines(found)))
    raise click.exceptions.Exit(doctors.exit_code(found))


def _show_plan(story: Path, profile: dict[str, Any], folder: Path, order: Any, *, as_json: bool) -> None:
    """Print what a run would do."""
    from orchestrator import plan as plans
    from orchestrator.progress import report_for

    rows = plans.plan(story, profile, folder, order, report_for(as_json=False, quiet=True))
    click.echo(json.dumps(plans.as_json(rows), indent=2) if as_json else "\n".join(plans.lines(rows)))


def _facts(film: Path) -> dict[str, Any]:
    """What ``probe`` reads from the film. Raises StorygenError ``input_not_found`` or ``input_unreadable``."""
    from orchestrator.pool import Pool

    if film.is_dir():
        inside = film / "final.mp4"
        hint = f"storygen check {inside}" if inside.is_file() else "Give the film's file, such as runs/crow/final.mp4."
        raise StorygenError("input_unreadable", f"{film} is a folder.", hint)
    request = {"v": 1, "op": "probe", "input": {"media": str(film.absolute()), "loudness": True}}
    try:
        with Pool() as pool:
            facts: dict[str, Any] = pool.request("media_processing", request)["output"]
    except StorygenError as error:
        if error.code == "input_unreadable":
            message = f"{film} is no film that can be read."
            raise StorygenError(error.code, message, "Give a video file, such as runs/crow/final.mp4.") from error
        raise
    return facts


def _default_folder(story: Path) -> Path:
    """``runs/<name of the story>``. Raises StorygenError ``usage`` if it is another story's."""
    from orchestrator.run import MARK

    folder = Path("runs") / story.stem
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        other = json.loads((folder / MARK).read_text(encoding="utf-8"))["story"]
        if other != str(story.resolve()):
            raise StorygenError(
                "usage",
                f"The folder {folder} holds the film of another story, {other}.",
                f"Name a folder: --out {folder}-2; or --out {folder} to replace that film.",
            )
    return folder


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


def _music(file: Path) -> Path:
    """The absolute path of a file with sound. Raises StorygenError ``input_not_found`` or ``input_unreadable``."""
    from orchestrator.pool import Pool

    hint = "--music takes a file with sound, such as mp3, m4a, ogg, flac, wav or mp4."
    if not file.is_file():
        message = f"{file} is a folder." if file.is_dir() else f"There is no file {file}."
        raise StorygenError("input_not_found", message, hint)
    request = {"v": 1, "op": "probe", "input": {"media": str(file.absolute())}}
    try:
        with Pool() as pool:
            facts = pool.request("media_processing", request)["output"]
    except StorygenError as error:
        if error.code == "input_unreadable":
            raise StorygenError(error.code, f"{file} is no music: it cannot be read as media.", hint) from error
        raise
    if facts["audio"] is None:
        raise StorygenError("input_unreadable", f"{file} carries no sound.", hint)
    return file.absolute()


def _summary(manifest: dict[str, Any], folder: Path) -> str:
    """What a person reads when a run has ended well: the film, what was done, warnings."""
    from orchestrator.stages.voice import advice

    made = sum(stage.get("made", 0) for stage in manifest["stages"].values())
    done = f"  {made} items made in {manifest['seconds']:.1f} s" if made else "  nothing had changed; nothing was done"
    if manifest["film"] is None:
        last = list(manifest["stages"])[-1]
        lines = [f"{manifest['title']}: done up to {last}, in {folder}", done, "  the film: the same without --to"]
    else:
        video, lufs = manifest["facts"]["video"], manifest["facts"]["loudness"]["integrated_lufs"]
        size, shots = f"{video['width']}×{video['height']}", f"{len(manifest['shots'])} shots"
        lines = [
            f"{manifest['title']}: {folder / 'final.mp4'}",
            f"  {size}, {video['fps']:g} fps, {video['duration_s']:.1f} s, {shots}, {lufs:.1f} LUFS",
            done,
        ]
    if not manifest["language_given"]:
        lines.append("  language: assumed to be English; a line 'language: xx' at the top of the story says otherwise")
    if tip := advice(manifest, sys.platform):
        lines.append(f"  {tip}")
    lines += [
        f"  warning: {warning['stage']} {warning['item']}: {warning['message']}" for warning in manifest["warnings"]
    ]
    return "\n".join(lines)
