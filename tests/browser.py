"""Open a page in headless Chromium and report what a reader would see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest

#: Collects errors from the first moment on, and says at the end what is there.
_WATCH = """<script>
window.seen = [];
window.addEventListener('error', e => window.seen.push('' + (e.message || e.target.src)), true);
window.addEventListener('unhandledrejection', e => window.seen.push('' + e.reason));
for (const level of ['error']) {
  console[level] = (...words) => window.seen.push(words.map(String).join(' '));
}
window.addEventListener('load', () => setTimeout(() => {
  ACTION
  const images = [...document.images];
  const facts = {
    errors: window.seen,
    images: images.length,
    broken: images.filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt || i.src),
    text: document.body.innerText,
    requests: performance.getEntriesByType('resource').map(e => e.name)
      .filter(name => !name.startsWith('data:')),
  };
  const out = document.createElement('pre');
  out.id = 'facts';
  out.textContent = JSON.stringify(facts);
  document.body.appendChild(out);
}, 1500));
</script>"""


@dataclass(frozen=True)
class Seen:
    """Console errors, number of images, those that did not load, visible text, requests."""

    errors: list[str]
    images: int
    broken: list[str]
    text: str
    requests: list[str]


def look(page: Path, folder: Path, action: str = "") -> Seen:
    """Load a copy of ``page`` without a network, run ``action`` (JavaScript), and look."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    content = page.read_text(encoding="utf-8")
    assert "<head>" in content
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / "page.html"
    watched = content.replace("<head>", "<head>" + _WATCH.replace("ACTION", action), 1)
    copy.write_text(watched, encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
        "--virtual-time-budget=8000", "--dump-dom", f"file://{copy}",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="facts">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, result.stderr[-2000:]
    return Seen(**json.loads(unescape(found[1])))
