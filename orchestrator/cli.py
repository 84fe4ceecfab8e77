"""The command line ``storygen``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands import COMMANDS
from orchestrator.errors import StorygenError
from orchestrator.model_commands import models

if TYPE_CHECKING:
    from orchestrator.subject import Subject

EXAMPLES = """
\b
examples:
  storygen run examples/crow.md                        a film in runs/crow/final.mp4
  storygen run --idea "a crow learns to ask" --profile local --seconds 45
  storygen run my.md --pictures photos --out runs/my   with your own pictures
  storygen run my.md --profile local --references cast figures that look as in these pictures
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
    """Turn a story, or an idea, into a narrated short video."""


for command in COMMANDS:
    cli.add_command(command)


cli.add_command(models)


@cli.command()
@click.argument("story", type=click.Path(path_type=Path), required=False)
@click.option(
    "--idea", "idea_text", metavar="TEXT", help="An idea instead of a story, for a profile with a text model."
)
@click.option("--brief", type=click.Path(path_type=Path), help="A text file with the idea, instead of --idea.")
@click.option("--profile", default="draft", show_default=True, help="Name of a profile, or the path of a .toml file.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run; default runs/<name of the story, or first words of the idea>.",
)
@click.option(
    "--language", metavar="TAG", help="Language of the narration, such as cs; default the story's, or the idea's own."
)
@click.option("--seconds", type=click.FloatRange(5, 3600), help="Length of an idea's film (the profile's own: 60).")
@click.option("--audience", metavar="WORDS", help="Who an idea's film is for.")
@click.option("--style", metavar="NAME", help="Style preset of the pictures, where a profile's stages draw in styles.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="Folder with your own pictures, one a shot in order of their names.",
)
@click.option(
    "--references",
    type=click.Path(path_type=Path),
    help="Folder with up to 16 pictures of characters, places or a style to keep to; a vision model reads them.",
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
    help="Change one value of the profile, also one that an option here sets; may be repeated.",
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
    idea_text: str | None,
    brief: Path | None,
    profile: str,
    out: Path | None,
    language: str | None,
    seconds: float | None,
    audience: str | None,
    style: str | None,
    pictures: Path | None,
    references: Path | None,
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
    """Make the film of STORY, a text or Markdown file, or of an --idea.

    The same command again continues or does nothing.

    \b
    The file may begin with two lines:
      title: The Crow and the Pitcher
      language: en
    """
    from orchestrator import options
    from orchestrator.pipeline import Order, make_film
    from orchestrator.progress import report_for

    told = options.subject(story, idea_text, brief)
    if told.story is not None and seconds is not None:
        raise StorygenError("usage", "--seconds is for an idea; a story is as long as it is.", "Leave --seconds out.")
    film = {"language": language, "target_s": seconds, "audience": audience, "style": style}
    film |= {"references": None if references is None else str(references)}
    film |= dict(zip(("width", "height"), FORMATS.get(shape or "", ()), strict=False))
    chosen = options.profile(profile, film, CAPTIONS.get(captions or ""), settings, pictures, music)
    folder = out or options.default_folder(told)
    order = Order(only or first, only or last, force, reuse, timeout_s, chosen["run"]["retries"])
    if dry_run:
        _show_plan(told, chosen, folder, order, as_json=as_json, ready=True)
        return
    report = report_for(as_json=as_json)
    try:
        manifest = make_film(told, chosen, folder, report, order)
    except StorygenError as error:
        kept = 0
        with contextlib.suppress(OSError):
            kept = len(list(folder.glob("*/*/result.json")))
        if kept and error.code not in {"usage", "invalid_request"}:  # those it would only repeat
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
    A line of STORIES, a story or an idea alone is needed:
      {"story": "crow.md", "out": "crow-wide", "profile": "draft", "set": ["film.width=1920"]}
      {"idea": "a crow learns to ask", "profile": "local", "set": ["film.language=cs"]}
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
    from orchestrator.subject import of_mark

    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        told, chosen = of_mark(mark), profiles.complete(mark["profile"])
    except (OSError, ValueError, KeyError, TypeError, StorygenError):
        raise StorygenError(
            "input_not_found",
            f"{folder} is no run's folder, or its {MARK} is damaged.",
            "Give the folder of a run, such as runs/crow; running its story again mends the file.",
        ) from None
    _show_plan(told, chosen, folder, Order(), as_json=as_json)


def _show_plan(
    told: Subject, profile: dict[str, Any], folder: Path, order: Any, *, as_json: bool, ready: bool = False
) -> None:
    """Print what a run would do, with ``ready`` also what it lacks here."""
    from orchestrator import plan as plans
    from orchestrator.progress import report_for

    rows = plans.plan(told, profile, folder, order, report_for(as_json=False, quiet=True), ready=ready)
    click.echo(json.dumps(plans.as_json(rows), indent=2) if as_json else "\n".join(plans.lines(rows)))


def _summary(manifest: dict[str, Any], folder: Path) -> str:
    """What a person reads when a run has ended well: the film, what was done, warnings."""
    from orchestrator.stages.voice import advice

    made = sum(stage.get("made", 0) for stage in manifest["stages"].values())
    done = f"  {made} items made in {manifest['seconds']:.1f} s" if made else "  nothing had changed; nothing was done"
    if manifest["film"] is None:
        last = list(manifest["stages"])[-1]
        lines = [
            f"{manifest['title'] or 'the idea'}: done up to {last}, in {folder}",
            done,
            "  the film: the same without --to",
        ]
    else:
        video, lufs = manifest["facts"]["video"], manifest["facts"]["loudness"]["integrated_lufs"]
        size, shots = f"{video['width']}×{video['height']}", f"{len(manifest['shots'])} shots"
        lines = [
            f"{manifest['title']}: {folder / 'final.mp4'}",
            f"  {size}, {video['fps']:g} fps, {video['duration_s']:.1f} s, {shots}, {lufs:.1f} LUFS",
            done,
        ]
    lines += _written(manifest["writing"])
    if manifest["language"] and not manifest["language_given"]:
        lines.append("  language: assumed to be English; a line 'language: xx' at the top of the story says otherwise")
    if tip := advice(manifest, sys.platform):
        lines.append(f"  {tip}")
    return "\n".join([*lines, *_warned(manifest["warnings"])])


def _warned(warnings: list[dict[str, str]]) -> list[str]:
    """A line for each kind of warning of a stage: the first one's words, and how many more there are."""
    alike: dict[tuple[str, str], list[dict[str, str]]] = {}
    for warning in warnings:
        alike.setdefault((warning["stage"], warning["code"]), []).append(warning)
    lines = []
    for (stage, code), (first, *others) in alike.items():
        more = f" ({code}, {len(others)} more such in manifest.json)" if others else ""
        where = f"{stage} {first['item']}".strip()
        lines.append(f"  warning: {where}: {first['message']}{more}")
    return lines


def _written(writing: dict[str, Any]) -> list[str]:
    """What a person reads of how the text of an idea came about."""
    if "idea" not in writing:
        return []
    idea, script, revision = writing["idea"], writing.get("script"), writing.get("revision")
    lines = [f"  the idea: best of {len(idea['proposals'])}, score {idea['score']:g}; language {idea['language']}"]
    if script:
        lines.append(f"  the script: {script['words']} words of {script['target_words']}")
    if revision:
        rewritten = len(revision["versions"]) - 1
        lines[-1] += f", score {revision['score']:g} ({rewritten} times rewritten, {revision['kept']} kept)"
    return lines
