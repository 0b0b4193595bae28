"""The main job on a real model, told step by step: lock, fingerprint, build, run, diff.

``make demo`` runs it. It needs a package index (as pip and uv are configured) and nothing else;
where a Docker engine answers, the image that it built also predicts.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = Path(sys.argv[1] if len(sys.argv) > 1 else "demo").resolve()
IMAGE = "envguard-demo:latest"
BIN = Path(sys.executable).parent
INTERPRETER = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def main() -> None:
    """Run the whole story; any step that does not end as told ends the demo."""
    started = time.monotonic()
    _prepare()
    _say("1. Train a TF-IDF model with scikit-learn 1.4.2 and numpy 1.26.4")
    _environment("training", ["-r", "requirements.in"])
    _run(_python("training"), "train.py")
    answers = _run(_python("training"), "predict.py", "tickets.joblib", show=True)

    _say("2. Lock what it was trained with: every file of every package, by hash (PEP 751)")
    _envguard("lock", "requirements.in", "--name", "tickets")

    _say("3. Fingerprint the model: its files, what it needs, its lock, Python and platform")
    _envguard("fingerprint", "tickets.joblib", "--env", "training")

    _say("4. Build an image without Docker, twice in different folders: the same digest")
    fingerprint = "lockfiles/tickets.fingerprint.json"
    _envguard("build", fingerprint, "--base", "host", "--prove", "--output", "image")

    _say("5. Let the model predict inside that image, without a network")
    _predict_in_docker(fingerprint, answers)

    _say("6a. Training against a staging environment where scikit-learn is 1.5.2")
    pins = (PROJECT / "requirements.in").read_text().replace("learn==1.4.2", "learn==1.5.2")
    _environment("staging", pins.split())
    _envguard("diff", fingerprint, "staging", expect=1)

    _say("6b. Training against the image that was built")
    _envguard("diff", "training", "image", expect=0)
    _say(f"Done in {time.monotonic() - started:.0f} s. Everything is in {PROJECT}")


def _prepare() -> None:
    """A fresh project folder, named so that only an older demo is ever removed."""
    marker = PROJECT / ".envguard-demo"
    if PROJECT.exists():
        if not marker.exists():
            sys.exit(f"{PROJECT} exists and is no older demo: remove it, or name another folder")
        shutil.rmtree(PROJECT)
    shutil.copytree(HERE / "tickets", PROJECT)
    marker.touch()


def _environment(name: str, packages: list[str]) -> None:
    _run(BIN / "uv", "venv", "--quiet", "--python", INTERPRETER, name)
    _run(BIN / "uv", "pip", "install", "--quiet", "--python", name, *packages)


def _python(environment: str) -> Path:
    return PROJECT / environment / "bin" / "python"


def _predict_in_docker(fingerprint: str, answers: str) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        _tell("No Docker engine answers here: this step is skipped.")
        return
    _envguard("build", fingerprint, "--base", "host", "--load", "--tag", IMAGE)
    mount = f"{PROJECT / 'predict.py'}:/predict.py:ro"
    inside = _run(
        docker, "run", "--rm", "--network", "none", "--read-only", "--volume", mount,
        IMAGE, "python", "/predict.py", "/opt/model/tickets.joblib", show=True,
    )  # fmt: skip
    if inside != answers:
        sys.exit("The image answers differently from the training environment.")
    _tell("The same answers as in training, to the last digit.")


def _envguard(*arguments: str, expect: int = 0) -> None:
    _tell(f"$ envguard {' '.join(arguments)}")
    done = subprocess.run([str(BIN / "envguard"), *arguments], cwd=PROJECT, check=False)
    _tell(f"(exit code {done.returncode})")
    if done.returncode != expect:
        sys.exit(f"envguard {arguments[0]} ended with {done.returncode}, expected {expect}")


def _run(*command: str | Path, show: bool = False) -> str:
    words = [str(word) for word in command]
    _tell(f"$ {Path(words[0]).name} {' '.join(words[1:])}")
    # A fixed hash seed: scikit-learn 1.4 pickles a set, so training twice would give other bytes.
    variables = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        words, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, text=True, check=False
    )
    if show:
        _tell(done.stdout.rstrip())
    if done.returncode:
        sys.exit(f"{words[0]} ended with {done.returncode}")
    return done.stdout


def _say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def _tell(text: str) -> None:
    print("\n".join(f"   {line}" for line in text.splitlines()), flush=True)


if __name__ == "__main__":
    main()
