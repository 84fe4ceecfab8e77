"""The command line ``storygen``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.choices import CAPTIONS, FORMATS
from orchestrator.commands import COMMANDS
from orchestrator.errors import StorygenError
from orchestrator.model_commands import models
from orchestrator.summary import summary
from orchestrator.wording import counted

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
@click.option("--audience", metavar="WORDS", help="Who the film is for; the profile's text models are told.")
@click.option("--style", metavar="NAME", help="Style preset of the pictures, where a profile's stages draw in styles.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="Folder with your own pictures, one a shot in order of their names, whatever numbers those bear; with fewer "
    "pictures than shots they come again.",
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
    film = {"language": language, "target_s": seconds, "audience": audience, "style": style, "references": references}
    film |= options.size(shape)
    chosen = options.profile(profile, film, CAPTIONS.get(captions or ""), settings, pictures, music)
    options.refuse_unused(told, chosen, film)
    folder = out or options.default_folder(told)
    order = Order(only or first, only or last, force, reuse, timeout_s, chosen["run"]["retries"])
    if (said := options.language_hint(told, chosen)) and not (folder / "collect").exists():
        click.echo(f"warning: {said}", err=True)
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
            continues = f"{counted(kept, 'finished item')} kept in {folder}: the same command continues."
            error.hint = f"{error.hint} {continues}" if error.hint else continues
        raise
    finally:
        report.close()
    if as_json:
        click.echo(json.dumps({"type": "run_done", "folder": str(folder.resolve()), "manifest": manifest}))
    else:
        click.echo(summary(manifest, folder), err=True)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(folder: Path, as_json: bool) -> None:
    """Say what of the run in FOLDER is done, what would be made again and why, and what is missing."""
    from orchestrator import profile as profiles
    from orchestrator.pipeline import Order
    from orchestrator.run_folder import MARK
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
    from orchestrator.plan_lines import forecast, lines
    from orchestrator.progress import NoReport

    rows = plans.plan(told, profile, folder, order, NoReport(), ready=ready)
    in_words = [*forecast(told, profile, rows), *lines(rows)]
    click.echo(json.dumps(plans.as_json(rows), indent=2) if as_json else "\n".join(in_words))
