"""Open a page in headless Chromium and report what a reader would see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

#: Collects errors from the first moment on, and says at the end what is there.
_WATCH = """<script>
window.seen = [];
window.addEventListener('error', e => window.seen.push('' + (e.message || e.target.src)), true);
window.addEventListener('unhandledrejection', e => window.seen.push('' + e.reason));
for (const level of ['error']) {
  console[level] = (...words) => window.seen.push(words.map(String).join(' '));
}
LAYOUT
window.addEventListener('load', () => setTimeout(async () => {
  const answer = await (async () => { ACTION })();
  const images = [...document.images];
  const facts = {
    errors: window.seen,
    images: images.length,
    broken: images.filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt || i.src),
    text: document.body.innerText,
    width: innerWidth,
    faults: faults(),
    answer: answer === undefined ? null : answer,
    requests: performance.getEntriesByType('resource').map(e => e.name)
      .filter(name => !name.startsWith('data:')),
  };
  parent.postMessage(JSON.stringify(facts), '*');
}, 1500));
</script>"""


#: A window is never narrower than 500 px, so that the page stands in a frame.
_FRAME = """<!doctype html><html><body style="margin: 0"><pre id="facts"></pre><script>
addEventListener('message', e => { document.getElementById('facts').textContent = e.data; });
</script><iframe src="page.html" style="border: 0; width: WIDTHpx; height: 1000px"></iframe>
</body></html>"""

#: What a reader would miss: parts past the right edge, text cut by its box, texts on each other.
_LAYOUT = """
function faults() {
  const found = [];
  const wide = document.documentElement.clientWidth;
  for (const element of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    // What lies in folded parts has boxes of its own, but nobody sees it.
    if (!box.width || !element.checkVisibility()) continue;
    if (element.closest('.skip, .canvas, script, style')) continue;
    const name = `${element.tagName}.${element.className}: ${element.textContent.trim()}`
      .slice(0, 60);
    if (box.right > wide + 1 || box.left < -1) found.push('past the edge ' + name);
    if (style.display !== 'inline' && element.scrollWidth > element.clientWidth + 1) {
      found.push('wider than its box ' + name);
    }
    if (style.overflowY !== 'visible' && element.scrollHeight > element.clientHeight + 1
        && !['HTML', 'BODY'].includes(element.tagName)) found.push('cut below ' + name);
  }
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || !node.parentElement.checkVisibility()) continue;
    if (node.parentElement.closest('.skip, script, style')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width > 1 && box.height > 1) texts.push({ node, box });
    }
  }
  texts.sort((a, b) => a.box.top - b.box.top);
  const across = (a, b) => Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length && texts[j].box.top < texts[i].box.bottom - 4; j++) {
      if (texts[i].node !== texts[j].node && across(texts[i], texts[j]) > 2) {
        found.push('on each other: ' + texts[i].node.data + ' | ' + texts[j].node.data);
      }
    }
  }
  return found;
}
"""


@dataclass(frozen=True)
class Seen:
    """Console errors, number of images, those that did not load, visible text, requests.

    ``faults`` says what of the layout a reader would miss, ``answer`` what the action returned.
    """

    errors: list[str]
    images: int
    broken: list[str]
    text: str
    requests: list[str]
    width: int
    faults: list[str]
    answer: Any


def look(page: Path, folder: Path, action: str = "", width: int = 1400, dark: bool = False) -> Seen:
    """Load a copy of ``page`` without a network, run ``action`` (JavaScript), and look.

    Args:
        page: an HTML file with a head.
        folder: for the copy and the browser's profile.
        action: body of an async function; what it returns is the answer.
        width: of the window (CSS px).
        dark: whether the system prefers dark pages.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    content = page.read_text(encoding="utf-8")
    assert "<head>" in content
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / "page.html"
    watched = content.replace(
        "<head>", "<head>" + _WATCH.replace("LAYOUT", _LAYOUT).replace("ACTION", action), 1
    )
    copy.write_text(watched, encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(_FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={width + 20},1100",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--virtual-time-budget=8000", "--dump-dom", f"file://{frame}",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="facts">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, result.stderr[-2000:]
    return Seen(**json.loads(unescape(found[1])))
