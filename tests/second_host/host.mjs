// A second host for storygen's workers, written from README.md alone: what a host in any language has to do.
// node host.mjs PYTHON WORKERS_DIR OUT_DIR: one JSON line a scenario; the exit code is 1 if one of them failed.
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as after } from "node:timers/promises";

const python = process.argv[2];
const [workers, out] = process.argv.slice(3).map((path) => resolve(path));
const isEnd = (line) => line.type === "result" || line.type === "error";

class Worker {
  lines = []; // all it said
  stderr = []; // the last 20 lines
  #waiting = [];

  constructor(...args) {
    this.child = spawn(python, args); // with three pipes; the two that it writes to are read at once
    this.child.stdin.on("error", () => {}); // it may end before it has read everything
    createInterface({ input: this.child.stdout }).on("line", (text) => this.#take(text));
    const stderr = createInterface({ input: this.child.stderr });
    stderr.on("line", (text) => (this.stderr = [...this.stderr, text].slice(-20)));
    this.child.on("exit", () => this.#killGroup()); // before "close": a child of it may hold the pipes open
    this.ended = new Promise((done) => {
      this.child.on("error", done).on("close", (code, signal) => done({ code, signal }));
    });
  }

  #take(text) {
    let line;
    try { line = JSON.parse(text); } catch { line = { type: "not the protocol", text }; }
    this.lines.push(line);
    this.#waiting.filter((one) => one.wanted(line)).forEach((one) => one.found(line));
  }

  #killGroup() {
    try { process.kill(-this.child.pid, "SIGKILL"); } catch { /* nobody is left, or it leads no group */ }
  }

  // The first line that is wanted, already here or still to come; null when the worker ended without it.
  see(wanted) {
    const coming = new Promise((found) => this.#waiting.push({ wanted, found }));
    return this.lines.find(wanted) ?? Promise.race([coming, this.ended.then(() => null)]);
  }

  // How a request ended: its result or error line or, without one, the crash. A one-shot worker has only one request.
  async outcome(id) {
    const end = await this.see((line) => isEnd(line) && (id === undefined || line.id === id));
    return end ?? { type: "crashed", ...(await this.ended), stderr: this.stderr };
  }

  send(...messages) {
    messages.forEach((message) => this.child.stdin.write(JSON.stringify(message) + "\n"));
    return this;
  }

  // Close its input, wait 5 s, SIGTERM, wait 2 s, kill. Says how far it had to go.
  async stop() {
    for (const [step, patience] of [["close", 5000], ["SIGTERM", 2000], ["SIGKILL", 60000]]) {
      if (step === "close") this.child.stdin.end();
      else this.child.kill(step);
      if (await Promise.race([this.ended, after(patience, null, { ref: false })])) return step;
    }
  }

  // Waits for its end, holds what it said against the promises of the wire, and gives the exit code.
  async exit() {
    const { code } = await this.ended;
    const next = {};
    for (const line of this.lines) {
      ok(line.v === 1 && "id" in line, JSON.stringify(line));
      if ("seq" in line) equal(line.seq, (next[line.id] = (next[line.id] ?? -1) + 1));
    }
    return code;
  }
}

// Everything in an output that has a path is a file, and it must be the one that was announced. Counts them.
function verify(part) {
  if (part === null || typeof part !== "object") return 0;
  if (!("path" in part)) return Object.values(part).reduce((files, value) => files + verify(value), 0);
  const data = readFileSync(part.path);
  deepEqual([data.length, createHash("sha256").update(data).digest("hex")], [part.bytes, part.sha256]);
  return 1;
}

const worker = (family, ...flags) => new Worker(join(workers, `${family}.py`), "--output-dir", out, ...flags);
const code = (...lines) => new Worker("-c", ["import os, signal, subprocess, sys, threading", ...lines].join("\n"));
const small = { width: 128, height: 128 };
const say = (id) => ({ v: 1, id, op: "synthesize", input: { text: "Příliš žluťoučký kůň." } });
const probe = (id, media) => ({ v: 1, id, op: "probe", input: { media } });
const draw = (id) => ({ v: 1, id, op: "generate", input: { prompts: ["A crow."], ...small } });
const move = (id) => ({ v: 1, id, op: "animate", input: { image, num_frames: 24, ...small } });
const shots = () => [{ clip, num_frames: 5000 }]; // seconds of work
const film = (id) => ({ v: 1, id, op: "compose", input: { shots: shots(), width: 320, height: 320 } });
const until = (process, type = "accepted") => process.see((line) => line.type === type);
let image, clip; // what the others work on

function oneShot(family, request, ...flags) {
  const file = join(out, `${request.id}.request.json`);
  writeFileSync(file, JSON.stringify(request));
  return worker(family, "--input", file, ...flags);
}

const scenarios = {
  async one_shot() {
    const piped = worker("speech_synthesis", "--input", "-").send(say("piped"));
    piped.child.stdin.end();
    for (const [id, voice] of [["file", oneShot("speech_synthesis", say("file"))], ["piped", piped]]) {
      const end = await voice.outcome();
      deepEqual([await voice.exit(), voice.lines.length, end.id, end.success, verify(end.output)], [0, 1, id, true, 1]);
    }
  },
  async exit_codes() {
    const cases = [
      [65, "invalid_request", { ...probe("field", "x"), inputs: {} }],
      [65, "unsupported_version", { ...probe("version", "x"), v: 2 }],
      [66, "input_not_found", probe("missing", join(out, "missing.mp4"))],
      [2, "usage", probe("usage", "x"), "--no-such-flag"],
      [124, "timeout", { ...film("late"), options: { timeout_s: 0.1 } }],
    ];
    await Promise.all(cases.map(async ([status, name, ...request]) => {
      const media = oneShot("media_processing", ...request);
      const said = [await media.exit(), (await media.outcome()).error.code, media.stderr.length > 0];
      deepEqual(said, [status, name, true]);
    }));
  },
  async stream() {
    const camera = oneShot("video_generation", move("streamed"), "--stream");
    equal(await camera.exit(), 0);
    const types = camera.lines.map((line) => line.type);
    deepEqual([types[0], types.indexOf("result"), types.includes("progress")], ["accepted", types.length - 1, true]);
    const { artifact } = camera.lines.find((line) => line.type === "artifact");
    deepEqual([verify(artifact), verify(camera.lines.at(-1).output)], [1, 1]);
  },
  async serve() {
    const voice = worker("speech_synthesis", "--serve");
    await until(voice, "ready");
    voice.send(say("a"), say("b"), { type: "ping", id: "ping" }, say("c"));
    for (const id of ["a", "b", "c"]) equal(verify((await voice.outcome(id)).output), 1);
    voice.send({ type: "load", id: "load", engine: "espeak" }, { type: "unload", id: "unload" }, { type: "shutdown" });
    deepEqual([await voice.exit(), ...voice.lines.filter(isEnd).map((line) => line.id)], [0, "a", "b", "c"]);
    const pong = (id) => voice.lines.find((line) => line.type === "pong" && line.id === id);
    deepEqual([pong("ping").type, pong("load").loaded, pong("unload").loaded], ["pong", "espeak", null]);
  },
  async batch() {
    const voice = worker("speech_synthesis", "--serve");
    voice.send(say("one"), say("two"), { type: "shutdown" }).child.stdin.end(); // this end of the input cancels nothing
    deepEqual([await voice.exit(), verify(voice.lines.filter(isEnd).map((line) => line.output))], [0, 2]);
  },
  async cancel() {
    const media = worker("media_processing", "--serve");
    media.send(film("running"), film("waiting"), probe("next", clip), { type: "cancel", id: "waiting" });
    ok(await until(media, "progress"));
    media.send({ type: "cancel", id: "running" });
    for (const id of ["running", "waiting"]) equal((await media.outcome(id)).error.code, "cancelled");
    deepEqual([(await media.outcome("next")).success, await media.send({ type: "shutdown" }).exit()], [true, 0]);
  },
  async closed_input() {
    const serving = worker("media_processing", "--serve").send(film("first"), film("second"));
    const watching = oneShot("media_processing", film("watch"), "--stream", "--watch-stdin");
    await Promise.all([until(serving), until(watching)]);
    deepEqual(await Promise.all([serving.stop(), watching.stop()]), ["close", "close"]);
    deepEqual([...serving.lines, ...watching.lines].filter(isEnd).map((line) => [line.id, line.error.code]),
      ["first", "second", "watch"].map((id) => [id, "cancelled"]));
    deepEqual([await serving.exit(), await watching.exit()], [130, 130]);
  },
  async sigterm() {
    const media = oneShot("media_processing", film("term"), "--stream"); // it watches no input: SIGTERM comes first
    await until(media);
    media.child.kill("SIGTERM");
    deepEqual([await media.exit(), (await media.outcome()).error.code], [130, "cancelled"]);
  },
  async crash() {
    const media = worker("media_processing", "--serve").send(film("lost"));
    await until(media, "progress"); // FFmpeg runs by now: it is in the worker's group
    media.child.kill("SIGKILL");
    deepEqual(await media.outcome("lost"), { type: "crashed", code: null, signal: "SIGKILL", stderr: [] });
  },
  async crash_with_child() { // a broken worker: it leaves a child behind that holds both pipes
    const child = "subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait(600)'])";
    const talk = "print(*range(30), sep='\\n', file=sys.stderr, flush=True)";
    const broken = code("os.setsid()", child, talk, "os._exit(3)");
    const stderr = Array.from({ length: 20 }, (_, i) => String(i + 10));
    deepEqual(await broken.outcome(), { type: "crashed", code: 3, signal: null, stderr });
  },
  async stop_ladder() { // a broken worker that neither reads its input nor minds SIGTERM
    const ready = `print('{"type":"ready"}', flush=True)`;
    const deaf = code("signal.signal(signal.SIGTERM, signal.SIG_IGN)", ready, "threading.Event().wait(600)");
    await until(deaf, "ready");
    const asked = performance.now();
    deepEqual([await deaf.stop(), (await deaf.outcome()).signal], ["SIGKILL", "SIGKILL"]);
    ok(performance.now() - asked > 6900, "it had less than 5 s and 2 s");
  },
};

async function report(scenario, run) {
  const start = performance.now();
  const error = await run().then(() => null, (reason) => String(reason.stack));
  const seconds = Math.round(performance.now() - start) / 1000;
  console.log(JSON.stringify({ scenario, ok: error === null, seconds, error }));
  if (error !== null) process.exitCode = 1;
}

mkdirSync(out, { recursive: true });
image = (await oneShot("image_generation", draw("picture")).outcome()).output.images[0].path;
clip = (await oneShot("video_generation", move("clip")).outcome()).output.video.path;
await Promise.all(Object.entries(scenarios).map(([name, run]) => report(name, run)));
