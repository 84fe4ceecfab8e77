"""The page of a run, seen by a real browser that has no network."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import writing
from PIL import Image
from planning import bible
from support import PATIENCE_S, SMALL, storygen

from orchestrator import subject
from orchestrator.item import write_json
from orchestrator.previews import FOLDER, LARGEST, previews
from orchestrator.report import page, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
NO_BROWSER = "There is no Chromium or Chrome on PATH (Debian: apt-get install --no-install-recommends chromium)."
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1600, "height": 900}
EVIL = "</title></script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt; مصباح 灯 🏮 " + "w" * 120
CONTRASTS = """() => {
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = numbers(color).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((numbers(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll("body *:not(script)")].filter((node) =>
    node.checkVisibility() && [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim()));
  return texts.map((node) => {
    const style = getComputedStyle(node);
    const [a, b] = [light(node instanceof SVGElement ? style.fill : style.color), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [`${node.tagName}.${node.className.baseVal ?? node.className}: ${node.textContent.trim()}`, ratio];
  });
}"""
"""Of every element with text of its own: what it is, and the contrast ratio of WCAG 2.2, 1.4.3."""

WAIT = """new Promise((resolve) => {
  const began = performance.now();
  (function look() {
    if (CONDITION) resolve(true);
    else if (performance.now() - began > PATIENCE_MS) resolve(false);
    else setTimeout(look, 10);
  })();
})""".replace("PATIENCE_MS", str(PATIENCE_S * 1000))

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if program is None:
        pytest.skip(NO_BROWSER)
    sync_api = pytest.importorskip("playwright.sync_api", reason="The extra `test` is not installed.")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a run's page from the disk. At the end: nothing was complained of, nothing asked for from elsewhere."""
    complaints: list[str] = []
    asked: list[str] = []
    folders: list[str] = []
    contexts = []

    def opened(folder: Path, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        folders.append(f"{folder.as_uri()}/")
        tab.goto(f"{folders[-1]}report.html")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert asked
    assert [url for url in asked if not url.startswith((*folders, "data:"))] == []


@pytest.fixture(scope="module")
def thought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a manifest says of stages that thought: an idea, a script that was rewritten once, and a bible."""
    folder = tmp_path_factory.mktemp("thought")
    drafts = (writing.narration(60), writing.narration(25), writing.script_scores(60, "Open on the chair."))
    better = (writing.narration(24), writing.script_scores(85, "Cut the second sentence."))
    played = writing.played(folder, writing.ideas(), writing.idea_scores(60, 90, 20), *drafts, *better)
    told = writing.write(folder, played).making.writing
    fact = {"file": "old man.png", "kind": "character", "name": "old man", "appearance": "white beard"}
    told["references"] = {"pictures": [{**fact, "palette": "blue", "style": "gouache"}], "edited": True}
    return {"writing": told, "bible": bible(), "consistency": {"score": 0.8, "analysis": ["One world."]}}


def all_evil(value: Any) -> Any:
    """The same with every text hostile."""
    if isinstance(value, dict):
        return {name: all_evil(member) for name, member in value.items()}
    if isinstance(value, list):
        return [all_evil(member) for member in value]
    return EVIL if isinstance(value, str) else value


@pytest.fixture(scope="module")
def evil(thought: dict[str, Any], made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run in a folder of an awkward name, where everything that comes from outside is hostile."""
    folder = tmp_path_factory.mktemp("runs") / 'a run #1? 100% "ž" <b> مصباح'
    shutil.copytree(made, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"title": EVIL, "language": EVIL, **all_evil(thought)}
    manifest["writing"]["idea"]["premise"] = f"{EVIL}, kept"
    for shot in manifest["shots"]:
        picture, clip = folder / shot["keyframe"], folder / shot["clip"]
        shot["keyframe"] = picture.replace(picture.with_name('a #1? 100% "ž".png')).relative_to(folder).as_posix()
        shot["clip"] = clip.replace(clip.with_name('a #1? 100% "ž".mp4')).relative_to(folder).as_posix()
        shot |= {"text": f"{shot['number']} {EVIL}", "prompt": EVIL, "motion": {"kind": EVIL}}
        stored = folder / Path(shot["keyframe"]).parent / "result.json"
        result = json.loads(stored.read_text(encoding="utf-8"))
        result["output"]["images"][0] |= {
            "path": Path(shot["keyframe"]).name,
            "prompt": f"{EVIL} as a painting",
            "match_score": 0.83,
        }
        stored.write_text(json.dumps(result), encoding="utf-8")
    for item in manifest["items"]:
        item["engine"] = EVIL
    for stage in manifest["stages"].values():
        stage["why"] = stage["why"] and EVIL
    manifest["warnings"] = [
        {"stage": "video", "item": "shot-001", "code": "engine_fallback", "message": EVIL},
        {"stage": "video", "item": "shot-002", "code": "engine_fallback", "message": EVIL},
        {"stage": EVIL, "item": EVIL, "code": EVIL, "message": EVIL},
    ]
    write_page(folder, manifest)
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def playable(tab: Page) -> None:
    """Skips where the browser was built without the film's codecs."""
    if not tab.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.640028, mp4a.40.2\"')"):
        pytest.skip("This browser cannot play H.264.")
    until(tab, "film.readyState >= 1")


def until(tab: Page, condition: str) -> None:
    """Waits in the page itself: Playwright's own wait compiles text there, which the page's policy forbids."""
    assert tab.evaluate(WAIT.replace("CONDITION", condition)), f"not within {PATIENCE_S} s: {condition}"


# What it weighs


def test_the_page_shows_small_pictures_and_links_to_the_full_ones(run_folder: Path, open_page: Open) -> None:
    manifest = manifest_of(run_folder)
    first = run_folder / manifest["shots"][0]["keyframe"]
    with Image.open(first) as small:
        small.resize((1296, 2304)).save(first)
    write_page(run_folder, manifest)
    tab = open_page(run_folder)
    shown = tab.locator(".shot img").evaluate_all("images => images.map((image) => image.getAttribute('src'))")
    assert len(set(shown)) == len(manifest["shots"])
    for src in shown:
        with Image.open(run_folder / src) as picture:
            assert (picture.format, max(picture.size) <= LARGEST) == ("JPEG", True)
    image = tab.locator("#shot-1 img")
    assert image.evaluate("image => image.decode().then(() => [image.naturalHeight, image.loading])") == [512, "lazy"]
    assert (run_folder / shown[0]).stat().st_size < first.stat().st_size / 10
    tab.locator("#shot-1 summary").click()
    assert tab.locator(f"#shot-1 a[href='{manifest['shots'][0]['keyframe']}']").count() == 1


def test_small_pictures_are_made_once_and_follow_their_pictures(run_folder: Path) -> None:
    manifest = manifest_of(run_folder)
    pictures = [shot["keyframe"] for shot in manifest["shots"]]
    before = previews(run_folder, pictures)
    times = {name: (run_folder / name).stat().st_mtime_ns for name in before.values()}
    assert previews(run_folder, pictures) == before
    assert {name: (run_folder / name).stat().st_mtime_ns for name in before.values()} == times
    first = run_folder / pictures[0]
    Image.new("RGB", (270, 480), "red").save(first)
    (run_folder / pictures[1]).write_bytes(b"no picture")
    after = previews(run_folder, [*pictures, "keyframes/gone.png"])
    assert after[pictures[0]] != before[pictures[0]]
    assert set(after) == set(pictures) - {pictures[1]}
    assert {f"{FOLDER}/{file.name}" for file in (run_folder / FOLDER).iterdir()} == set(after.values())
    assert previews(run_folder, []) == {}
    assert len(list((run_folder / FOLDER).iterdir())) == len(after)  # a run that begins knows no shots yet


# What it says


def test_the_page_tells_the_run(made: Path, open_page: Open) -> None:
    tab, manifest = open_page(made), manifest_of(made)
    assert tab.title() == "Two Lamps – storygen"
    assert tab.locator("h1").inner_text() == "Two Lamps"
    assert tab.locator("header .state").all_inner_texts() == ["Finished"]
    assert "270×480, 30 fps" in tab.locator("header").inner_text()
    cards = tab.locator(".shot")
    assert cards.count() == len(manifest["shots"]) > 1
    for number, shot in enumerate(manifest["shots"]):
        card = cards.nth(number)
        assert card.locator(".text").inner_text() == shot["text"]
        card.locator("summary").click()
        stored = json.loads((made / Path(shot["keyframe"]).parent / "result.json").read_text(encoding="utf-8"))
        said = card.inner_text()
        for part in ("storyboard", "ken_burns", f"seed {stored['output']['images'][0]['seed']}", "made"):
            assert part in said
        assert "Prompt" not in said  # it is the text
        assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_times_stand_in_tables_for_those_who_do_not_see_the_bars(made: Path, open_page: Open) -> None:
    tab, manifest = open_page(made), manifest_of(made)
    stages = tab.get_by_role("table", name="Time of each stage in this run")
    assert stages.get_by_role("row").count() == len(manifest["stages"]) + 1
    row = stages.get_by_role("row", name="keyframes").inner_text()
    assert f"{len(manifest['shots']) + 1} made" in row  # one for what they show
    assert stages.locator("g").count() == len(manifest["items"])  # a bar each
    tab.locator("summary", has_text="Every item").click()
    items = tab.get_by_role("table", name="Every item of this run")
    assert items.get_by_role("row").count() == len(manifest["items"]) + 1
    film = next(item for item in manifest["items"] if item["item"] == "film")
    assert f"{film['seconds']:.2f} s" in items.get_by_role("row", name="post film").inner_text()


def test_what_was_reused_edited_or_made_by_another_engine_bears_a_badge(run_folder: Path, open_page: Open) -> None:
    manifest = manifest_of(run_folder)
    for item in manifest["items"]:
        item["reused"] = not (item["stage"] == "video" and item["item"] == "shot-002")
        item["edited"] = (item["stage"], item["item"]) == ("keyframes", "shot-001")
    manifest["warnings"] = [
        {"stage": "keyframes", "item": "shot-001", "code": "edit_adopted", "message": "mine"},
        {"stage": "video", "item": "shot-002", "code": "engine_fallback", "message": "other"},
        {"stage": "video", "item": "shot-002", "code": "slow", "message": "slow"},
    ]
    write_page(run_folder, manifest)
    tab = open_page(run_folder)
    badges = [tab.locator(".shot").nth(number).locator(".badge").all_inner_texts() for number in (0, 1)]
    assert badges == [["reused", "edited by hand"], ["made", "fallback", "warning"]]
    assert tab.locator(".stages rect.reused").count() == len(manifest["items"]) - 1
    assert tab.get_by_role("link", name="3 warnings").get_attribute("href") == "#warnings"
    assert tab.locator("#warnings").get_by_role("link", name="shot-001").get_attribute("href") == "#shot-1"


def test_a_failed_run_says_why_what_is_kept_and_how_to_go_on(run_folder: Path, story: Path, open_page: Open) -> None:
    music = run_folder.with_name("music.mp3")
    music.write_text("no music at all")
    wrong = ("--set", f"post.input.music={music}")
    assert storygen("run", story, "--out", run_folder, *SMALL, *wrong).returncode == 66
    tab = open_page(run_folder)
    assert tab.locator("header .state").all_inner_texts() == ["Failed"]
    said = tab.locator(".ending").inner_text()
    assert str(music) in said
    assert "Use a media file such as" in said
    assert "input_unreadable" in said
    assert f"keyframes {len(manifest_of(run_folder)['shots']) + 1}, video" in said  # one for what they show
    command = tab.get_by_label("Command").inner_text()
    assert command.startswith("storygen run ")
    assert str(story) in command
    assert str(run_folder) in command
    assert "the film of an earlier run" in tab.locator(".film").inner_text()
    assert tab.locator(".seek").count() == 0  # its times may be others


def test_a_run_of_an_idea_says_the_command_with_the_idea(run_folder: Path, open_page: Open) -> None:
    words = 'a keeper\'s last "chair" – ž'
    write_json(run_folder / "run.json", {"v": 1, **subject.idea(words).mark(), "profile": {}})
    write_page(run_folder, {**manifest_of(run_folder), "state": "partial", "film": None})
    command = open_page(run_folder).get_by_label("Command").inner_text()
    assert shlex.split(command) == ["storygen", "run", "--idea", words, "--out", str(run_folder)]


def test_the_page_tells_how_an_idea_became_a_script(run_folder: Path, thought: dict[str, Any], open_page: Open) -> None:
    write_page(run_folder, manifest_of(run_folder) | thought)
    tab = open_page(run_folder)
    said = tab.locator("#writing")
    assert (
        said.locator(".panel").first.inner_text().startswith("The idea\n\nTwo Fires\nscore 90\n\nTwo Fires: Ida burns")
    )
    said.locator("summary", has_text="Other proposals: 2").click()
    proposals = said.locator(".panel").first.locator(".rounds li").all_inner_texts()
    assert [text.split("\n")[:2] for text in proposals] == [["The Last Chair", "score 60"], ["Ida", "score 20"]]
    script = said.locator(".panel").nth(1)
    assert "24 words of 25 wanted" in script.inner_text()
    assert "in 2 drafts: 60, then 25 words" in script.inner_text()
    rounds = [text.split("\n")[:4] for text in script.locator(".rounds > li").all_inner_texts()]
    assert rounds[0][:3] == ["As written", "25 words", "score 60"]
    assert rounds[1] == ["Rewrite 1", "24 words", "score 85", "kept"]
    script.locator("summary").first.click()
    assert "Open on the chair." in script.inner_text()
    assert "engagement 60, hook 60" in script.inner_text()


def test_the_page_tells_what_all_pictures_share(run_folder: Path, thought: dict[str, Any], open_page: Open) -> None:
    write_page(run_folder, manifest_of(run_folder) | thought)
    tab = open_page(run_folder)
    look = tab.locator("#look")
    assert look.locator("h3").all_inner_texts() == [
        "The figures", "The world", "How the pictures fit together", "Reference pictures edited by hand",
    ]  # fmt: skip
    first = look.locator(".rounds li").first
    assert first.inner_text().split("\n")[0] == "the old man"
    assert "white beard, blue coat" in first.inner_text()
    assert [each.get_attribute("href") for each in first.locator("a").all()] == ["#shot-1", "#shot-2"]
    for text in ("a stone pier by the sea", "around 1900", "cold moonlight", "slate, amber", "charcoal drawing"):
        assert text in look.inner_text()
    assert "score 0.8" in look.inner_text()
    assert "One world." in look.inner_text()
    assert "old man.png" in look.inner_text()


def test_a_run_in_which_nothing_thought_says_nothing_of_it(made: Path) -> None:
    assert 'class="thinking"' not in page(made, manifest_of(made))


@pytest.mark.parametrize(
    ("state", "heading"), [("stopped", "Stopped"), ("partial", "Made up to post"), ("running", "Under way")]
)
def test_a_run_without_a_film_says_so(state: str, heading: str, made: Path) -> None:
    told = page(made, {**manifest_of(made), "state": state, "film": None})
    assert f"<h2>{heading}</h2>" in told
    assert "storygen run" in told


def test_a_run_that_has_made_nothing_yet_has_a_page_too(tmp_path: Path, open_page: Open) -> None:
    error = {"code": "usage", "message": "No <b>.", "hint": None, "details": ["a", "b"]}
    nothing: dict[str, Any] = {
        "stages": {},
        "shots": [],
        "items": [],
        "warnings": [],
        "film": None,
        "facts": None,
        "seconds": 0.0,
    }
    write_page(tmp_path, {**nothing, "state": "failed", "error": error, "title": None, "language": None})
    tab = open_page(tmp_path)
    assert tab.locator("h1").inner_text() == tmp_path.name
    assert tab.locator(".ending li").all_inner_texts() == ["a", "b"]
    assert "No shots yet" in tab.locator("main").inner_text()
    assert "No <b>." in tab.locator("main").inner_text()


def test_a_page_that_cannot_be_written_fails_no_run(run_folder: Path, story: Path) -> None:
    (run_folder / "report.html").unlink()
    (run_folder / "report.html").mkdir()
    done = storygen("run", story, "--out", run_folder, *SMALL)
    assert done.returncode == 0, done.stderr
    assert [warning["code"] for warning in manifest_of(run_folder)["warnings"]] == ["page_failed"]
    assert "report.html was not written: IsADirectoryError" in done.stderr


# What it lets in


def test_nothing_in_a_story_becomes_markup(evil: Path, open_page: Open) -> None:
    tab = open_page(evil)
    plain = " ".join(EVIL.split())
    assert tab.title() == f"{plain} – storygen"
    assert tab.locator("h1").inner_text() == plain
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    shots = tab.locator(".shot")
    for number in range(shots.count()):
        assert shots.nth(number).locator(".text").inner_text() == f"{number + 1} {plain}"
        assert f"{plain} as a painting" in shots.nth(number).inner_text()
        assert "match score 0.83" in shots.nth(number).inner_text()
    assert tab.locator("#warnings li").count() == 2
    assert tab.locator("script").count() == 1
    assert tab.locator("img").count() == shots.count()
    assert tab.locator("b").all_inner_texts() == ["video", plain]  # the stages of the warnings
    handlers = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(a => a.startsWith('on'))"
    assert tab.evaluate(handlers) == []


def test_every_link_leads_to_a_file_of_the_run(evil: Path, open_page: Open) -> None:
    tab = open_page(evil)
    links = tab.evaluate(
        """[...document.querySelectorAll('[href], [src], [poster], [data-clip]')]
           .flatMap(e => [e.getAttribute('href'), e.getAttribute('src'), e.getAttribute('poster'), e.dataset.clip])
           .filter(url => url && !url.startsWith('#') && !url.startsWith('data:'))
           .map(url => [url, new URL(url, document.baseURI).href])"""
    )
    assert len(links) > 10
    for written, url in links:
        assert not urlsplit(written).scheme
        path = Path(url2pathname(urlsplit(url).path))
        assert path.is_file(), url
        assert path.is_relative_to(evil)


def test_the_browser_itself_is_told_to_ask_no_network(evil: Path, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto((evil / "report.html").as_uri())
    tab.evaluate(
        """() => {
             window.blocked = new Set();
             document.addEventListener("securitypolicyviolation", (event) => blocked.add(event.effectiveDirective));
             const [image, script, style] = ["img", "script", "style"].map((name) => document.createElement(name));
             image.src = "http://127.0.0.1:9/x.png";
             script.text = "window.broken = true";
             style.textContent = "body { display: none }";
             document.body.append(image, script, style);
             fetch("http://127.0.0.1:9/").catch(() => {});
           }"""
    )
    until(tab, "blocked.size === 4")
    assert sorted(tab.evaluate("[...blocked]")) == ["connect-src", "img-src", "script-src-elem", "style-src-elem"]
    assert tab.evaluate("window.broken") is None
    tab.close()


# How it works


def test_a_shots_picture_plays_the_film_from_there(evil: Path, open_page: Open) -> None:
    tab, second = open_page(evil), manifest_of(evil)["shots"][1]
    playable(tab)
    assert tab.locator("[aria-current]").count() == 0
    tab.locator(".seek").nth(1).click()
    until(tab, f"!film.paused && film.currentTime > {second['start_s']}")
    assert tab.evaluate("film.currentTime") < second["end_s"]
    assert tab.locator("[aria-current]").get_attribute("id") == "shot-2"
    assert tab.locator("#now").inner_text().startswith("Shot 2 of ")
    tab.keyboard.press("Space")
    assert tab.evaluate("film.paused")
    tab.locator(".strip span").first.click()
    until(tab, "!film.seeking && film.currentTime === 0")


def test_everything_works_by_keyboard(evil: Path, open_page: Open) -> None:
    tab, shots = open_page(evil), manifest_of(evil)["shots"]
    playable(tab)
    focus = "document.activeElement"
    tab.keyboard.press("Space")
    until(tab, "!film.paused")
    tab.keyboard.press("Space")
    until(tab, "film.paused")
    tab.keyboard.press("ArrowRight")
    until(tab, f"film.currentTime === {shots[1]['start_s']}")
    tab.keyboard.press("ArrowLeft")
    until(tab, "film.currentTime === 0")
    tab.keyboard.press("Tab")
    assert tab.evaluate(f"{focus}.className") == "skip"
    tab.keyboard.press("Enter")
    reached = []
    for _ in range(3 * len(shots)):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(f"{focus}.className || {focus}.tagName"))
        style = tab.evaluate(
            f"(({{outlineStyle, outlineWidth}}) => [outlineStyle, outlineWidth])(getComputedStyle({focus}))"
        )
        assert style == ["solid", "3px"]
    assert reached == ["seek", "clip", "SUMMARY"] * len(shots)
    tab.locator(".seek").nth(1).focus()
    tab.keyboard.press("Enter")
    until(tab, f"!film.paused && film.currentTime > {shots[1]['start_s']}")


def test_a_clip_plays_in_its_picture(evil: Path, open_page: Open) -> None:
    tab = open_page(evil)
    playable(tab)
    clip, shown = tab.locator(".clip").first, tab.locator(".picture").first.locator("video")
    clip.focus()
    tab.keyboard.press("Enter")
    assert clip.get_attribute("aria-pressed") == "true"
    until(tab, "document.querySelector('.picture video').currentTime > 0")
    tab.keyboard.press("Enter")
    assert clip.get_attribute("aria-pressed") == "false"
    assert shown.count() == 0


@pytest.mark.parametrize(("motion", "videos"), [("no-preference", 1), ("reduce", 0)])
def test_a_picture_under_the_mouse_moves_unless_that_is_unwanted(
    motion: str, videos: int, evil: Path, open_page: Open
) -> None:
    tab = open_page(evil, reduced_motion=motion)
    tab.clock.install()
    tab.locator(".picture").first.hover()
    tab.clock.run_for(2000)
    assert tab.locator(".picture video").count() == videos


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scheme: str, evil: Path, open_page: Open) -> None:
    tab = open_page(evil, color_scheme=scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [(what, round(ratio, 2)) for what, ratio in found if ratio < 4.5] == []
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 19, 15)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_stands_out_at_the_side(viewport: dict[str, int], evil: Path, open_page: Open) -> None:
    tab = open_page(evil, viewport=viewport)
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    outside = """[...document.querySelectorAll("body *")]
        .filter((node) => !node.closest(".scroll, .unseen, .count, .skip"))
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
        .map((node) => node.outerHTML.slice(0, 80))"""
    assert tab.evaluate(outside) == []
