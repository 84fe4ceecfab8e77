"use strict";

const film = document.getElementById("film");
const strip = document.querySelector(".strip");
const now = document.getElementById("now");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const HOVER_MS = 300;
const shots = [...document.querySelectorAll(".shot")].map((card) => ({
  card,
  start: Number(card.dataset.start),
  end: Number(card.dataset.end),
}));

// The film: a shot's picture plays it from there, and the shot that is playing is marked.

function shotAt(time) {
  return shots.findLast((shot) => shot.start <= time + 0.001) ?? shots[0];
}

function goTo(shot) {
  if (!film || !shot) return;
  film.currentTime = shot.start;
  const place = film.getBoundingClientRect();
  if (place.bottom < 80 || place.top > innerHeight - 80) {
    film.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  }
}

function play() {
  film.play().catch(() => {}); // the browser wants a click first, or cannot play it: its own controls say so
}

function mark() {
  const begun = film.currentTime > 0 || !film.paused;
  const current = shotAt(film.currentTime);
  for (const shot of shots) {
    const here = begun && shot === current;
    if (here) shot.card.setAttribute("aria-current", "true");
    else shot.card.removeAttribute("aria-current");
    const part = begun ? (film.currentTime - shot.start) / (shot.end - shot.start) : 0;
    shot.segment.style.setProperty("--played", `${Math.min(1, Math.max(0, part)) * 100}%`);
  }
  now.textContent = `Shot ${shots.indexOf(current) + 1} of ${shots.length}`;
}

if (film && shots.length) {
  for (const shot of shots) {
    shot.segment = document.createElement("span");
    shot.segment.style.flexGrow = shot.end - shot.start;
    strip.append(shot.segment);
    shot.card.querySelector(".seek").addEventListener("click", (event) => {
      goTo(shot);
      play();
      if (event.detail) event.currentTarget.blur(); // by mouse: the space bar is the film's again
    });
  }
  strip.addEventListener("click", (event) => {
    goTo(shots.find((shot) => event.clientX < shot.segment.getBoundingClientRect().right + 2) ?? shots.at(-1));
  });
  for (const kind of ["timeupdate", "seeking", "play", "loadedmetadata"]) film.addEventListener(kind, mark);
  mark();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const on = (what) => event.target.closest?.(what);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " " && !on("button, summary, video")) {
      if (film.paused) play();
      else film.pause();
    } else if (step && !on("video, .scroll, pre")) {
      goTo(shots[shots.indexOf(shotAt(film.currentTime)) + step]);
    } else return;
    event.preventDefault();
  });
}

// A shot's clip by itself: while the mouse rests on the picture, or for as long as its button is pressed.

let shown = null;

function hide() {
  shown?.video.remove();
  shown?.button.setAttribute("aria-pressed", "false");
  shown = null;
}

function show(button, pressed) {
  hide();
  const video = document.createElement("video");
  Object.assign(video, { src: button.dataset.clip, muted: true, loop: true, playsInline: true });
  video.setAttribute("aria-hidden", "true");
  button.before(video);
  button.setAttribute("aria-pressed", String(pressed));
  shown = { button, video, pressed };
  video.play().catch(() => {}); // hidden again before it began
}

for (const button of document.querySelectorAll(".clip")) {
  let wait;
  button.addEventListener("click", () => {
    clearTimeout(wait);
    if (shown?.button === button && shown.pressed) return hide();
    film?.pause();
    show(button, true);
  });
  button.parentElement.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse" || calm.matches || shown?.pressed) return;
    wait = setTimeout(() => show(button, false), HOVER_MS);
  });
  button.parentElement.addEventListener("pointerleave", () => {
    clearTimeout(wait);
    if (shown?.button === button && !shown.pressed) hide();
  });
}
