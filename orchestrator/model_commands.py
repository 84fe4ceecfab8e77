"""``storygen models``: what models are here, get them, check them, remove them, and which suit this machine."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from orchestrator import model_words, needs
from orchestrator.download_progress import at_work, display
from orchestrator.errors import StorygenError
from orchestrator.needs import Model

FAMILY = "model_management"
RETRIES = 2
"""The hub's library tries again by itself; this is for a hub that is down for a moment."""
EXAMPLES = """
\b
examples:
  storygen models recommend                            what suits this machine
  storygen models download sdxl ltx-video              sizes first, then a question, then the files
  storygen models download --profile local --yes       everything that the profile's stages name
  storygen models download someone/lora --include "*.safetensors"
  storygen models list                                 what is here, and how much room it takes
  storygen models verify sdxl --repair                 every file against the hub's checksums
  storygen models remove sdxl-refiner
"""
with_models_dir = click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder where models live; default STORYGEN_MODELS_DIR, else the Hugging Face cache.",
)
with_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
without_asking = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(epilog=EXAMPLES)
def models() -> None:
    """Get, list, check and remove models, and say which suit this machine."""


@models.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--profile", help="Every model that this profile's stages name: its name, or the path of a .toml file.")
@click.option("--revision", help="Branch, tag or commit; of one MODEL.")
@click.option("--precision", type=click.Choice(["fp16", "full"]), help="Default: fp16 where the engine reads it.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files that fit; may be repeated; of one MODEL.")
@click.option("--dry-run", is_flag=True, help="Only say what would be downloaded.")
@with_models_dir
@without_asking
@with_json
def download(
    names: tuple[str, ...],
    profile: str | None,
    revision: str | None,
    precision: str | None,
    include: tuple[str, ...],
    dry_run: bool,
    models_dir: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Download models, by id or short name: the sizes are said first. Cut off, the same command goes on.

    \b
    examples:
      storygen models download whisper-large-v3
      storygen models download Lightricks/LTX-Video --models-dir /data/models --yes
    """
    named = [Model(name, revision, None) for name in names]
    wanted = list(dict.fromkeys([*named, *(_of_profile(profile) if profile else [])]))
    if not wanted:
        none = f"The profile {profile} names no models." if profile else "No model was named."
        raise StorygenError("usage", none, "storygen models recommend says which suit this machine.")
    if (revision or include) and len(wanted) > 1:
        raise StorygenError("usage", "--revision and --include are for one model.", "Download the models one by one.")
    more = {"precision": precision, "allow_patterns": list(include) or None}
    asked = [{"id": model.id, "revision": model.revision or revision, **more} for model in wanted]
    places = [{} if models_dir else model.place for model in wanted]  # the command's own folder counts
    with _asking(models_dir) as ask:
        with at_work("The hub is asked for the sizes …"):
            plans = [
                ask("download", None, place, dry_run=True, **one) for one, place in zip(asked, places, strict=True)
            ]
        click.echo("\n".join(model_words.plan_lines(plans)), err=as_json)
        missing = sum(plan["missing_bytes"] for plan in plans)
        _check_room(missing, min(plan["free_bytes"] for plan in plans))
        if not dry_run and not all(plan["folder"] for plan in plans):
            _confirm(f"Download {decimal(missing)}?", yes or not missing)
            for number, (one, place) in enumerate(zip(asked, places, strict=True)):
                plans[number] = _fetch(ask, place, **one)
                click.echo(f"{one['id']}: {plans[number]['folder']}", err=as_json)
    if as_json:
        click.echo(json.dumps(plans, indent=2))


@models.command("list")
@with_models_dir
@with_json
def list_(models_dir: Path | None, as_json: bool) -> None:
    """List the models that are here, the largest first."""
    with _asking(models_dir) as ask:
        found = ask("list")
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(model_words.list_lines(found)))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@click.option("--revision", help="Branch, tag or commit.")
@click.option("--include", multiple=True, metavar="PATTERN", help="As it was given to download.")
@click.option("--repair", is_flag=True, help="Download damaged and missing files again.")
@with_models_dir
@with_json
def verify(
    names: tuple[str, ...],
    revision: str | None,
    include: tuple[str, ...],
    repair: bool,
    models_dir: Path | None,
    as_json: bool,
) -> None:
    """Compare every file of models with the hub's checksums; exit code 69 when one is damaged or missing."""
    more = {"revision": revision, "allow_patterns": list(include) or None}
    with _asking(models_dir) as ask:
        with at_work("Every file is read, about a second for each GB …"):
            found = [ask("verify", id=name, remove_damaged=repair, **more) for name in names]
        for each in found if repair else []:
            if not each["whole"]:
                lacking = [*(row["name"] for row in each["damaged"]), *each["missing"]]
                _fetch(ask, {}, id=each["id"], revision=revision, allow_patterns=lacking)
                each.update(ask("verify", id=each["id"], **more))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(
            "\n".join(f"{each['id']}: {each['checked']} files compared, {model_words.state(each)}" for each in found)
        )
    if bad := [each for each in found if not each["whole"]]:
        details = [f"{each['id']} {row['name']} is damaged" for each in bad for row in each["damaged"]]
        details += [f"{each['id']} {name} is missing" for each in bad for name in each["missing"]]
        ids = " ".join(each["id"] for each in bad)
        hint = f"Get those files again: storygen models verify {ids} --repair"
        raise StorygenError("model_not_found", f"Not whole: {ids}.", hint, details)


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@click.option("--revision", help="Only this branch, tag or commit.")
@with_models_dir
@without_asking
@with_json
def remove(names: tuple[str, ...], revision: str | None, models_dir: Path | None, yes: bool, as_json: bool) -> None:
    """Remove models from this machine, after saying how much room that makes."""
    with _asking(models_dir) as ask:
        plans = [ask("remove", id=name, revision=revision, dry_run=True) for name in names]
        click.echo("\n".join(f"{plan['id']}: {decimal(plan['freed_bytes'])}" for plan in plans), err=as_json)
        _confirm(f"Remove {decimal(sum(plan['freed_bytes'] for plan in plans))}?", yes)
        for place, plan in enumerate(plans):
            done = plans[place] = ask("remove", id=plan["id"], revision=revision)
            click.echo(f"{done['id']}: removed, {decimal(done['freed_bytes'])} freed", err=as_json)
    if as_json:
        click.echo(json.dumps(plans, indent=2))


@models.command()
@click.argument("family", required=False)
@with_models_dir
@with_json
def recommend(family: str | None, models_dir: Path | None, as_json: bool) -> None:
    """Say which models suit this machine, all or of FAMILY, and how to run them."""
    with _asking(models_dir) as ask:
        found = ask("recommend", family=family)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(model_words.advice_lines(found)))


# Asking


@contextlib.contextmanager
def _asking(models_dir: Path | None) -> Iterator[Any]:
    """(op, on_event, place, **input) -> output of a warm worker, whose warnings are said. Raises StorygenError.

    ``place`` are options that say where a model lives, in place of the command's own.
    """
    from orchestrator.pool import Pool

    options = {"models_dir": str(models_dir.absolute())} if models_dir else {}

    with Pool(retries=RETRIES) as pool:

        def ask(
            op: str,
            on_event: Any = None,
            place: Mapping[str, str] | None = None,
            /,
            **input: Any,  # noqa: A002 - the wire's word
        ) -> dict[str, Any]:
            request = {"v": 1, "op": op, "input": input, "options": {**options, **(place or {})}}
            result = pool.request(FAMILY, request, on_event)
            for warning in result["warnings"]:
                click.echo(f"warning: {warning['message']}", err=True)
            output: dict[str, Any] = result["output"]
            return output

        yield ask


def _fetch(ask: Any, place: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """Download to a place with a bar; Ctrl+C says that nothing is lost."""
    try:
        with display(fields["id"]) as on_event:
            output: dict[str, Any] = ask("download", on_event, place, **fields)
        return output
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # a closed terminal
            click.echo("What has come is kept: the same command goes on with it.", err=True)
        raise


def _of_profile(name: str) -> list[Model]:
    """The models that a profile's stages name; of an engine that names none, the one it takes by itself."""
    from orchestrator import profile as profiles
    from orchestrator.pool import Pool

    with Pool() as pool:
        named = [
            model
            for one in needs.taken(profiles.load(name))
            for model in needs.wanted(one, pool.describe(one.family)["engines"])
        ]
    return [model for model in named if not needs.is_folder(model.id)]


def _check_room(missing: int, free: int) -> None:
    if missing > free:
        raise StorygenError(
            "output_failed",
            f"{decimal(missing)} are to be downloaded, and there is room for {decimal(free)}.",
            "Make room (storygen models list, remove), or name a folder on another disk: --models-dir.",
        )


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise StorygenError("usage", "There is no terminal to ask on.", "Give --yes.")
    if not click.confirm(question):
        raise StorygenError("cancelled", "Nothing was done.")
