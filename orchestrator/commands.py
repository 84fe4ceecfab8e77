"""The commands beside ``run``: many films, a look at one, ask a worker, see what is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.errors import StorygenError, error_table


@click.command()
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


@click.command()
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
    from orchestrator.doctor_findings import install_for

    answer, code = calling.call(family, calling.whole_request(calling.read(source), op, engine), output_dir)
    click.echo(answer)
    if code == error_table()["engine_unavailable"]["exit"] and (command := install_for(answer.decode("ascii"))):
        click.echo(f"  {command}", err=True)
    sys.exit(code)


@click.command()
@click.argument("stories", type=click.Path(path_type=Path))
@click.option("--profile", default="draft", show_default=True, help="Name of a profile, or the path of a .toml file.")
@click.option("--out", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder of the runs.")
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the profile.")
@click.option("--to", "last", metavar="STAGE", help="End after this stage.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds all may take.")
@click.option("--dry-run", is_flag=True, help="Say of each film what would be made and why; make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Progress and result as JSON lines on stdout.")
def batch(
    stories: Path,
    profile: str,
    out: Path,
    settings: tuple[str, ...],
    last: str | None,
    timeout_s: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the films of STORIES, a JSON lines file, stage by stage, so that each model is loaded once.

    One that fails does not stop the others. The exit code is 0, or that of the first that failed.

    A line needs a story or an idea. It may have a profile of its own, and language, seconds, audience, style,
    pictures, references, music, format and captions, as the options of run, set, and out: the film's folder in that
    of --out ("b1" and "runs/b1" are the same where --out is runs). Its other paths start at the folder of STORIES.

    \b
    examples of lines:
      {"story": "crow.md", "out": "crow-wide", "format": "16:9", "set": {"post.input.loudness": "podcast"}}
      {"story": "crow.md", "out": "crow-photos", "pictures": "photos", "set": ["film.fps=25"]}
      {"idea": "a crow learns to ask", "profile": "local", "language": "cs", "seconds": 45}
    """
    from orchestrator import batch as batches
    from orchestrator.pipeline import Order
    from orchestrator.progress import reports_for

    read = batches.read(stories, profile, settings, out)
    retries = max(story.profile["run"]["retries"] for story in read)
    order = Order(last=last, timeout_s=timeout_s, retries=retries)
    if dry_run:
        for line in batches.plans(read, order, as_json=as_json):
            click.echo(line)
        raise click.exceptions.Exit(batches.exit_code(read))
    reports = reports_for([story.folder.name for story in read], as_json=as_json)
    try:
        batches.make_films(read, reports, order)
    finally:
        for report in reports:
            report.close()
    if as_json:
        click.echo(json.dumps({"type": "batch_done", "stories": batches.as_json(read)}))
    else:
        click.echo("\n".join(batches.table(read)), err=True)
    raise click.exceptions.Exit(batches.exit_code(read))


@click.command()
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


@click.command()
@click.argument("family", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def describe(family: str | None, as_json: bool) -> None:
    """Say what every worker, or the one of FAMILY, can do here: operations, engines, and why one is not usable."""
    from orchestrator import doctor as doctors

    found = doctors.describe_all(family)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(doctors.describe_lines(found)))


@click.command()
@click.option("--profile", help="Also what this profile needs: its name, or the path of a .toml file.")
@click.option("--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one value of the profile.")
@click.option("--language", metavar="TAG", help="Also whether this language, such as cs, can be drawn and spoken.")
@click.option(
    "--story", type=click.Path(path_type=Path), help="Also whether every letter of this story can be drawn, and spoken."
)
@click.option("--deep", is_flag=True, help="Also have every engine here work once, with tiny models made for it.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(
    profile: str | None,
    settings: tuple[str, ...],
    language: str | None,
    story: Path | None,
    deep: bool,
    as_json: bool,
) -> None:
    """Look whether everything is there and works, and say what to do where it does not.

    Python, FFmpeg, fonts, voice, graphics card, memory, disk, engines, keys, models. The exit code is 69 when
    something is missing that a draft, or the named profile, cannot do without.

    \b
    examples:
      storygen doctor --profile local                    what is missing for films by local models
      storygen doctor --story my.md                      fonts and a voice for that story
      storygen doctor --deep                             does every engine work? (half a minute, downloads nothing)
    """
    from dataclasses import asdict

    from orchestrator import doctor as doctors
    from orchestrator import doctor_findings as findings
    from orchestrator import profile as profiles

    if settings and profile is None:
        raise StorygenError("usage", "--set changes a profile, and none was named.", "Give --profile too.")
    chosen = profiles.load(profile, settings) if profile else None
    telling = None
    if story or language:
        from orchestrator import doctor_letters as letters

        telling = letters.of_story(story, language) if story else letters.of_language(str(language))
    found = doctors.check(profile, chosen, telling)
    if deep:
        from orchestrator.doctor_progress import display

        with display() as say:
            found += doctors.deep(found, say)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        can = f"make films by the profile {profile} here" if profile else "make a draft here"
        click.echo("\n".join([*findings.lines(found), "", findings.summary(found, can)]))
    raise click.exceptions.Exit(findings.exit_code(found))


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


COMMANDS = (batch, sheet, call, check, describe, doctor)
